"""The checks of `seriesgate doctor`."""
