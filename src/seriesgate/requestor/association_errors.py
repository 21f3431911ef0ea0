"""The ways in which sending fails. Each text is one line for people, without wire text."""

from __future__ import annotations


class AssociationError(Exception):
    """There is no association, or it ended before its work was done."""


class PeerUnreachableError(AssociationError):
    """No TCP connection: nothing listens there, or the host is not to be found."""


class AssociationRejectedError(AssociationError):
    """The peer answered with A-ASSOCIATE-RJ; `is_transient` says that a later try may succeed."""

    def __init__(self, text: str, *, is_transient: bool) -> None:
        super().__init__(text)
        self.is_transient = is_transient


class InstanceUnreadableError(Exception):
    """The data set of an instance could not be read to its end."""
