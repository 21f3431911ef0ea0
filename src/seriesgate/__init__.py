"""seriesgate: receives DICOM series over C-STORE and registers each, complete, with a server."""

__version__ = "0.1.0"
