"""Kill the gateway while modalities send, again and again; then count: `make soak`.

    python -m tests.soak [--rounds N] [--seed S] [--folder PATH]

The real gateway is killed (SIGKILL) once in each round, at a random moment: while it starts, while
it recovers, or under load; the real server now and then. `durability` is `power` and `process` in
turn. The modalities send until all is acknowledged, some of it late and some of it twice. In the
end every row has exactly what was acknowledged, nothing is left in the spool, and nothing is owed.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from tests.soak.site import SoakFailed, soak


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=50, help="how often to kill (50)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--folder", type=Path, help="keep everything here; it must be empty")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        try:
            soak(arguments.folder or Path(temporary), arguments.seed, arguments.rounds)
        except (SoakFailed, AssertionError) as error:
            print(f"FAILED, seed {arguments.seed}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
