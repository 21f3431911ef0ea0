"""The routes of the API, one file for each thing it speaks of."""
