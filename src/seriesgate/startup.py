"""Why a program could not begin."""


class CannotStart(Exception):
    """A program cannot begin; the text is one line that says why and what to do."""
