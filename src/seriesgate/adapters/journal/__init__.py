"""The journal on disk: what was closed and what is owed, in SQLite."""
