"""Sends instances to a remote AE: an association requestor and a Storage SCU on plain sockets.

Shares nothing with `upper_layer`, so that sender and receiver cannot agree on the same mistake.

Decided in ADR 9.
"""
