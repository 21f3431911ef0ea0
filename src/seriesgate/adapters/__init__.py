"""The outside world of the gateway: network, disk, HTTP."""
