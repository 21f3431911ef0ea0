"""The tables of the conformance statement, each made from the code that it is about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import pydicom
import pynetdicom
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.tag import Tag
from pydicom.uid import UID

from seriesgate.series.report import Series
from seriesgate.settings.gateway import GatewaySettings
from seriesgate.upper_layer.dimse import StoreStatus
from seriesgate.upper_layer.pdu import RejectReason, RejectResult
from seriesgate.upper_layer.syntaxes import (
    VERIFICATION,
    is_known_transfer_syntax,
    is_standard_storage,
    is_storable_transfer_syntax,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

# An instance without one of these cannot be counted.
REQUIRED_ATTRIBUTES = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_USED_BESIDES_THE_REPORT = ("SpecificCharacterSet", "SOPClassUID", "InstanceNumber")

# GE's private syntax is known although no dictionary has it: implicit, with big endian pixels.
_PRIVATE_TRANSFER_SYNTAXES = {
    "1.2.840.113619.5.2": "GE private: Implicit VR Little Endian, pixel data big endian"
}

_PARAMETERS = (
    "scp_host",
    "scp_port",
    "ae_title",
    "max_associations",
    "max_associations_per_host",
    "store_timeout",
    "max_pdu_length",
    "check_called_ae_title",
    "allowed_calling_ae_titles",
    "allow_any_ae",
    "allowed_networks",
    "tls_certificate",
    "tls_private_key",
    "tls_client_ca",
    "durability",
    "quiet_period",
)


class Status(NamedTuple):
    """What a status of a C-STORE-RSP means here."""

    category: str
    meaning: str
    reason: str
    is_stored: bool
    advice: str


STATUSES = {
    StoreStatus.SUCCESS: Status(
        "Success", "Success", "the instance is stored, as durable as promised", True, "nothing"
    ),
    StoreStatus.DATA_SET_MISMATCH_WARNING: Status(
        "Warning",
        "Data Set does not match SOP Class",
        "the data set names another SOP class or instance than the command; stored as the one that "
        "the data set names",
        True,
        "do not send again; look at the sender",
    ),
    StoreStatus.PROCESSING_FAILURE: Status(
        "Failure",
        "Processing Failure",
        "an internal error; the log says where",
        False,
        "send again; report the line of the log",
    ),
    StoreStatus.OUT_OF_RESOURCES: Status(
        "Failure",
        "Refused: Out of Resources",
        "the disk is full or fails, or the system has no file descriptors left",
        False,
        "send again later",
    ),
    StoreStatus.CANNOT_UNDERSTAND: Status(
        "Failure",
        "Error: Cannot Understand",
        "the data set lacks one of the attributes above, one of them is no UID, its head is not "
        'DICOM, or it ended with the association; with strays = "refuse": it names another study '
        "or patient than its open series",
        False,
        "do not send again unchanged",
    ),
    StoreStatus.SOP_CLASS_NOT_SUPPORTED: Status(
        "Failure",
        "Refused: SOP Class Not Supported",
        "the presentation context was not accepted, or is for another SOP class",
        False,
        "negotiate the SOP class",
    ),
    StoreStatus.INVALID_SOP_INSTANCE: Status(
        "Failure",
        "Invalid SOP Instance",
        "the command has no Affected SOP Instance UID",
        False,
        "correct the sender",
    ),
    StoreStatus.MISTYPED_ARGUMENT: Status(
        "Failure", "Mistyped Argument", "the command has no data set", False, "correct the sender"
    ),
    StoreStatus.UNRECOGNIZED_OPERATION: Status(
        "Failure",
        "Unrecognized Operation",
        "any request but C-STORE and C-ECHO, or a C-STORE in the context of Verification",
        False,
        "correct the sender",
    ),
}

_TRANSIENT, _PERMANENT = RejectResult.TRANSIENT, RejectResult.PERMANENT
REJECTIONS = {
    RejectReason.TEMPORARY_CONGESTION: (
        _TRANSIENT,
        "the gateway is stopping, or there is no room on its disk",
    ),
    RejectReason.LOCAL_LIMIT_EXCEEDED: (
        _TRANSIENT,
        "`max_associations` are there already, or `max_associations_per_host` of the address",
    ),
    RejectReason.PROTOCOL_VERSION_NOT_SUPPORTED: (_PERMANENT, "bit 0 of the version is not set"),
    RejectReason.APPLICATION_CONTEXT_NOT_SUPPORTED: (_PERMANENT, "it is not that of DICOM"),
    RejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED: (
        _PERMANENT,
        "`check_called_ae_title` is set, and it is not `ae_title`",
    ),
    RejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED: (
        _PERMANENT,
        "`allowed_calling_ae_titles` is set and does not have it",
    ),
}


def dictionaries() -> str:
    """Return by which dictionaries UIDs are known; pynetdicom adds the latest ones to pydicom's."""
    return f"pydicom {pydicom.__version__} and pynetdicom {pynetdicom.__version__}"


def storage_classes() -> list[str]:
    """Return the UIDs of all storage SOP classes of the standard that are accepted."""
    return [uid for uid in _of_type("SOP Class") if is_standard_storage(uid)]


def services() -> str:
    """Return the network services of the overview."""
    storage = f"Storage: {len(storage_classes())} SOP classes of the standard, and private ones"
    return _table(
        ("network service", "as SCU", "as SCP"),
        [
            ("**Transfer**", "", ""),
            (f"{storage}; see [7.5](#75-storage-sop-classes-accepted)", "no", "yes"),
            ("**Connectivity**", "", ""),
            (f"Verification, `{VERIFICATION}`", "no", "yes"),
        ],
    )


def rejections() -> str:
    """Return why and how an association is rejected, in the order in which it is looked at."""
    return _table(
        ("result", "source", "reason", "when"),
        [
            (
                f"{result.value}, {result.name.lower()}",
                reason.value[0],
                f"{reason.value[1]}, {_words(reason.name)}",
                when,
            )
            for reason, (result, when) in REJECTIONS.items()
        ],
    )


def storage_sop_classes() -> str:
    """Return the names and UIDs of the storage SOP classes."""
    return _uids(storage_classes())


def transfer_syntaxes() -> str:
    """Return the names and UIDs of the transfer syntaxes that are accepted."""
    standard = [uid for uid in _of_type("Transfer Syntax") if is_storable_transfer_syntax(uid)]
    private = [uid for uid in _PRIVATE_TRANSFER_SYNTAXES if is_known_transfer_syntax(uid)]
    return _uids([*standard, *private])


def refused_transfer_syntaxes() -> str:
    """Return the names and UIDs of those of the standard that are not."""
    return _uids(uid for uid in _of_type("Transfer Syntax") if not is_storable_transfer_syntax(uid))


def statuses() -> str:
    """Return the statuses of a C-STORE-RSP."""
    return _table(
        ("service status", "code", "meaning", "reason", "stored", "what to do"),
        [
            (
                *(meaning.category, code(status), meaning.meaning, meaning.reason),
                *("yes" if meaning.is_stored else "no", meaning.advice),
            )
            for status, meaning in STATUSES.items()
        ],
    )


def code(status: StoreStatus) -> str:
    """Return a status as PS3.7 writes it."""
    return f"{status:04X}"


def required_attributes() -> str:
    """Return the attributes that an instance needs."""
    return _attributes(REQUIRED_ATTRIBUTES)


def used_attributes() -> str:
    """Return the attributes that are used where they are there."""
    reported = (name for name in Series.model_fields if tag_for_keyword(name) is not None)
    used = {*reported, *_USED_BESIDES_THE_REPORT} - {*REQUIRED_ATTRIBUTES}
    return _attributes(used)


def parameters() -> str:
    """Return the settings that concern DICOM, with their defaults."""
    defaults = GatewaySettings().model_dump(mode="json")
    return _table(
        ("parameter", "default", "meaning"),
        [
            (
                f"`{key}`",
                "none" if defaults[key] is None else f"`{json.dumps(defaults[key])}`",
                GatewaySettings.model_fields[key].description or "",
            )
            for key in _PARAMETERS
        ],
    )


def _of_type(kind: str) -> list[str]:
    return [uid for uid, entry in UID_dictionary.items() if entry[1] == kind]


def _uids(uids: Iterable[str]) -> str:
    return _table(("name", "UID"), [(_name(UID(uid)), f"`{uid}`") for uid in uids])


def _name(uid: UID) -> str:
    if uid.is_private:
        return _PRIVATE_TRANSFER_SYNTAXES[uid]
    # The standard gives no name to a few of the retired ones.
    name = uid.name or "(without a name)"
    return f"{name} (retired)" if uid.is_retired and "(Retired)" not in name else name


def _attributes(keywords: Iterable[str]) -> str:
    tags = sorted(Tag(keyword) for keyword in keywords)
    return _table(
        ("attribute", "tag"),
        [(dictionary_description(tag), f"({tag.group:04X},{tag.element:04X})") for tag in tags],
    )


def _words(constant: str) -> str:
    return constant.lower().replace("_", " ").replace("ae title", "AE title")


def _table(heads: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [f"| {' | '.join(map(str, line))} |" for line in (heads, *rows)]
    lines.insert(1, "|---" * len(heads) + "|")
    return "\n".join(lines)
