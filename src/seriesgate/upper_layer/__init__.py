"""The acceptor of the DICOM upper layer (PS3.8), with the DIMSE of PS3.7 that a Storage SCP needs.

Standard library only: no socket, no clock, no thread, no logging. Bytes and `now` in, events and
bytes out.

Decided in ADR 2.
"""
