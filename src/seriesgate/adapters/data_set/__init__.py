"""Reads the head of a data set: which instance it is, and what it says of its series."""
