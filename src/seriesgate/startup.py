"""Why a program could not begin."""


class CannotStart(Exception):
    """A program cannot begin; the text is one line that says why and what to do."""


class MustStop(Exception):
    """A program cannot go on. The text is one line for the person who runs it."""
