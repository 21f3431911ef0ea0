"""The gateway's administration over HTTP: status, metrics, dead letters."""
