"""What the server keeps of a series, how it is found, and the port to whatever keeps it. No I/O."""
