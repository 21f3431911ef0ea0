"""The spool on disk, and the Part 10 files in it."""
