"""`python -m seriesgate`."""

from seriesgate.cli import main

if __name__ == "__main__":
    main()
