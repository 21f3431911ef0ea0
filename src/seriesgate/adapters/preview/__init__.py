"""Pictures of series: which file waits for one, the process that makes it, and how it is made."""
