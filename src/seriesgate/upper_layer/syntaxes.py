"""Which abstract and transfer syntaxes a gateway takes when nobody says otherwise.

All storage SOP classes, known or not, and Verification; all transfer syntaxes whose data set can be
kept as it came. A standard SOP class that is not for storage is refused, so that a requestor learns
at once that we do not query, print or commit.

The functions take well-formed UIDs: the negotiation asks about no other.
"""

from __future__ import annotations

import re

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"

_UID = re.compile(r"[0-9.]{1,64}")
_STANDARD = "1.2.840.10008."

# PS3.6 Table A-1: all storage SOP classes, save those of the tables below, lie under one root ...
_STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."
_STORAGE_ELSEWHERE = frozenset(
    {
        "1.2.840.10008.5.1.1.27",  # Stored Print (retired)
        "1.2.840.10008.5.1.1.29",  # Hardcopy Grayscale Image (retired)
        "1.2.840.10008.5.1.1.30",  # Hardcopy Color Image (retired)
        "1.2.840.10008.5.1.4.34.1",  # RT Beams Delivery Instruction, trial (retired)
        "1.2.840.10008.5.1.4.34.7",  # RT Beams Delivery Instruction
        "1.2.840.10008.5.1.4.34.10",  # RT Brachy Application Setup Delivery Instruction
        "1.2.840.10008.5.1.4.38.1",  # Hanging Protocol
        "1.2.840.10008.5.1.4.39.1",  # Color Palette
        "1.2.840.10008.5.1.4.43.1",  # Generic Implant Template
        "1.2.840.10008.5.1.4.44.1",  # Implant Assembly Template
        "1.2.840.10008.5.1.4.45.1",  # Implant Template Group
    }
)
# ... under which lie a few that query, retrieve or create.
_NOT_STORAGE = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.200.4",  # Protocol Approval, FIND
        "1.2.840.10008.5.1.4.1.1.200.5",  # Protocol Approval, MOVE
        "1.2.840.10008.5.1.4.1.1.200.6",  # Protocol Approval, GET
        "1.2.840.10008.5.1.4.1.1.201.2",  # Inventory, FIND
        "1.2.840.10008.5.1.4.1.1.201.3",  # Inventory, MOVE
        "1.2.840.10008.5.1.4.1.1.201.4",  # Inventory, GET
        "1.2.840.10008.5.1.4.1.1.201.5",  # Inventory Creation
        "1.2.840.10008.5.1.4.1.1.201.6",  # Repository Query
    }
)

_STANDARD_TRANSFER_SYNTAXES = "1.2.840.10008.1.2."
# What these name is no data set in the encoding of PS3.5: MIME, XML, and streams of SMPTE ST 2110.
_NOT_A_DATA_SET = ("1.2.840.10008.1.2.6.", "1.2.840.10008.1.2.7.")
_OTHER_KNOWN_TRANSFER_SYNTAXES = frozenset(
    {
        IMPLICIT_VR_LITTLE_ENDIAN,
        "1.2.840.10008.1.20",  # Papyrus 3 Implicit VR Little Endian (retired)
        "1.2.840.113619.5.2",  # GE private: implicit VR little endian, pixels big endian
    }
)


def is_uid(text: str) -> bool:
    """Whether `text` could be a UID: 1 to 64 digits and dots (PS3.5 9.1)."""
    return _UID.fullmatch(text) is not None


def is_storage(abstract_syntax: str) -> bool:
    """Whether C-STORE is to be expected: a standard storage SOP class, or one nobody knows.

    An unknown one outside the standard's root is private; private classes are for storage in
    practice. An unknown one inside it counts by the root it lies under.
    """
    if not abstract_syntax.startswith(_STANDARD):
        return True
    if abstract_syntax in _STORAGE_ELSEWHERE:
        return True
    return abstract_syntax.startswith(_STORAGE_ROOT) and abstract_syntax not in _NOT_STORAGE


def is_standard_storage(abstract_syntax: str) -> bool:
    """Whether this is a storage SOP class of the standard: `is_storage` without private ones."""
    return abstract_syntax.startswith(_STANDARD) and is_storage(abstract_syntax)


def is_known_transfer_syntax(uid: str) -> bool:
    """Whether the encoding of the data set is known: a standard one, or a private one in use."""
    if uid in _OTHER_KNOWN_TRANSFER_SYNTAXES:
        return True
    return uid.startswith(_STANDARD_TRANSFER_SYNTAXES) and not uid.startswith(_NOT_A_DATA_SET)


def is_storable_transfer_syntax(uid: str) -> bool:
    """Whether a data set in this transfer syntax can be kept as it came, private ones included."""
    return is_known_transfer_syntax(uid) or not uid.startswith(_STANDARD)
