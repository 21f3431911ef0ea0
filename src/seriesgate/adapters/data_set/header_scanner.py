"""Finds out, while a data set arrives, which instance it is."""

from __future__ import annotations

from seriesgate.adapters.data_set.data_set_head import DataSetHead, HeadLimits
from seriesgate.adapters.data_set.element_value import decode_integer, decode_uid
from seriesgate.gateway.ports import HeaderUnreadable
from seriesgate.series.model import InstanceHeader

_SOP_CLASS_UID = 0x00080016
_SOP_INSTANCE_UID = 0x00080018
_PATIENT_ID = 0x00100020
_STUDY_INSTANCE_UID = 0x0020000D
_SERIES_INSTANCE_UID = 0x0020000E
_INSTANCE_NUMBER = 0x00200013

_REQUIRED = {
    _SOP_INSTANCE_UID: "SOP Instance UID (0008,0018)",
    _STUDY_INSTANCE_UID: "Study Instance UID (0020,000D)",
    _SERIES_INSTANCE_UID: "Series Instance UID (0020,000E)",
}
_UIDS = {_SOP_CLASS_UID: "SOP Class UID (0008,0016)"} | _REQUIRED
_WANTED = frozenset({*_UIDS, _PATIENT_ID, _INSTANCE_NUMBER})


class HeaderScanner:
    """Reads the head of one data set, up to (0020,0013), from fragments of any size.

    The data set comes as DIMSE transports it: no preamble, in the negotiated transfer syntax, also
    deflated, private or falsely declared. Memory is bounded by `max_bytes` (also of inflated data),
    time by it and `max_elements`; open sequences of undefined length by `max_depth`.
    """

    def __init__(
        self,
        transfer_syntax_uid: str,
        *,
        max_bytes: int = 4 * 1024 * 1024,
        max_depth: int = 64,
        max_elements: int = 20_000,
    ) -> None:
        self._head = DataSetHead(
            transfer_syntax_uid,
            wanted=_WANTED,
            required=_REQUIRED.keys(),
            limits=HeadLimits(max_bytes, max_depth, max_elements),
        )

    def feed(self, fragment: bytes | memoryview) -> InstanceHeader | None:
        """Take the next bytes; return the header as soon as it is known, and None before.

        The fragment is borrowed: its buffer may be reused after the call. Raises HeaderUnreadable,
        whose one line of text holds nothing from the wire; the scanner is of no use after it.
        """
        return self.finish() if self._head.feed(fragment) else None

    def finish(self) -> InstanceHeader:
        """Return what was found when the data set has ended, however early.

        Raises HeaderUnreadable when one of the three instance UIDs is missing or is no UID.
        """
        values = self._head.values
        uids = {tag: _uid(name, values.get(tag, b"")) for tag, name in _UIDS.items()}
        missing = [name for tag, name in _REQUIRED.items() if not uids[tag]]
        if missing:
            raise HeaderUnreadable(f"no {', no '.join(missing)}")
        return InstanceHeader(
            sop_class_uid=uids[_SOP_CLASS_UID],
            sop_instance_uid=uids[_SOP_INSTANCE_UID],
            study_instance_uid=uids[_STUDY_INSTANCE_UID],
            series_instance_uid=uids[_SERIES_INSTANCE_UID],
            patient_id=values.get(_PATIENT_ID, b"").strip(b" \0"),
            instance_number=decode_integer(values.get(_INSTANCE_NUMBER, b"")),
        )


def _uid(name: str, value: bytes) -> str:
    try:
        return decode_uid(value)
    except ValueError as error:
        raise HeaderUnreadable(f"the {name} {error}") from error
