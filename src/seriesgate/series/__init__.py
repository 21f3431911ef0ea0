"""What a series is, when it is complete and how its report is delivered. Pure: no I/O, no clock."""
