"""What an SCU must know of an instance to send it: three UIDs and its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from typing import BinaryIO


class StorageContext(NamedTuple):
    """What one presentation context for storage proposes: one SOP class in one transfer syntax."""

    sop_class_uid: str
    transfer_syntax_uid: str


class OutgoingInstance(Protocol):
    """An instance that can be sent. Its `str` names it for people.

    The UIDs are 1 to 64 characters of ASCII, without padding.
    """

    @property
    def context(self) -> StorageContext:
        """The presentation context that the instance needs."""

    @property
    def sop_instance_uid(self) -> str:
        """The SOP Instance UID as in the data set."""

    def open(self) -> BinaryIO:
        """Open the encoded data set: a seekable file that stands at its first byte.

        Everything from there to the end of the file is sent as it is. Raises OSError.
        """
