"""Every setting of both programs: one table, read once, checked at start."""
