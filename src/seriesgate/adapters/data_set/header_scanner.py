"""Finds out, while a data set arrives, which instance it is."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from seriesgate.adapters.data_set.data_set_head import DataSetHead, HeadLimits
from seriesgate.adapters.data_set.element_value import decode_integer, decode_uid, without_padding
from seriesgate.adapters.data_set.head_layout import HeadMemory
from seriesgate.gateway.ports import HeaderUnreadable
from seriesgate.series.model import InstanceHeader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seriesgate.adapters.data_set.head_layout import Step

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
_LIMITS = HeadLimits()
# Without its UIDs an instance is refused: they are looked for in all of it.
_SEARCH_TO = 0xFFFFFFFF


class HeaderScanner:
    """Reads the head of one data set, up to (0020,0013), from fragments of any size.

    The data set comes as DIMSE transports it: no preamble, in the negotiated transfer syntax, also
    deflated, private or falsely declared. Memory is bounded by `max_bytes` (also of inflated data),
    time by it and `max_elements`; open sequences of undefined length by `max_depth`. With a
    `memory`, the result is the same and comes sooner when the data set is like the last one.
    """

    def __init__(
        self,
        transfer_syntax_uid: str,
        *,
        limits: HeadLimits = _LIMITS,
        memory: HeadMemory | None = None,
    ) -> None:
        self._transfer_syntax_uid = transfer_syntax_uid
        self._limits = limits
        self._memory = memory
        self._head: DataSetHead | None = None
        self._steps: list[Step] | None = None
        self._values: dict[int, bytes] = {}
        self._is_complete = False

    def feed(self, fragment: bytes | memoryview) -> InstanceHeader | None:
        """Take the next bytes; return the header as soon as it is known, and None before.

        The fragment is borrowed: its buffer may be reused after the call. Raises HeaderUnreadable,
        whose one line of text holds nothing from the wire; the scanner is of no use after it.
        """
        if not self._is_complete:
            self._is_complete = self._remember(fragment) or self._walk(fragment)
        return self.finish() if self._is_complete else None

    def finish(self) -> InstanceHeader:
        """Return what was found when the data set has ended, however early.

        Raises HeaderUnreadable when one of the three instance UIDs is missing or is no UID.
        """
        values = self._values
        try:
            uids = [decode_uid(values.get(tag, b"")) for tag in _UIDS]
        except ValueError:
            raise _unreadable(values) from None
        sop_class, sop_instance, study, series = uids
        if not (sop_instance and study and series):
            raise _unreadable(values)
        return InstanceHeader(
            sop_class_uid=sop_class,
            sop_instance_uid=sop_instance,
            study_instance_uid=study,
            series_instance_uid=series,
            patient_id=without_padding(values.get(_PATIENT_ID, b"")),
            instance_number=decode_integer(values.get(_INSTANCE_NUMBER, b"")),
        )

    def _remember(self, fragment: bytes | memoryview) -> bool:
        """Take the whole head at once, if it is like the last one."""
        if self._memory is None or self._head is not None:
            return False
        view = memoryview(fragment)[: self._limits.max_bytes]
        values = self._memory.values(view)
        if values is None:
            return False
        self._values = values
        return True

    def _walk(self, fragment: bytes | memoryview) -> bool:
        head = self._head
        if head is None:
            if self._memory is not None:
                self._steps = self._memory.new_steps()
            head = self._head = DataSetHead(
                self._transfer_syntax_uid,
                wanted=_WANTED,
                required=_REQUIRED.keys(),
                limits=self._limits,
                search_to=_SEARCH_TO,
                steps=self._steps,
            )
            self._values = head.values
        if not head.feed(fragment):
            return False
        if self._memory is not None and self._steps is not None:
            self._memory.learn(self._steps)
        return True


class HeaderScanners(threading.local):
    """Makes the scanners of a gateway. Those of one thread, hence of one association, remember."""

    def __init__(self) -> None:
        self._transfer_syntax_uid = ""
        self._memory = HeadMemory(_LIMITS.max_value_bytes)

    def __call__(self, transfer_syntax_uid: str) -> HeaderScanner:
        """Return the scanner for the next data set of this thread."""
        if transfer_syntax_uid != self._transfer_syntax_uid:
            self._transfer_syntax_uid = transfer_syntax_uid
            self._memory = HeadMemory(_LIMITS.max_value_bytes)
        return HeaderScanner(transfer_syntax_uid, memory=self._memory)


def _unreadable(values: Mapping[int, bytes]) -> HeaderUnreadable:
    """Return what is wrong with values of which one is no UID, or of which one is missing."""
    missing = []
    for tag, name in _UIDS.items():
        try:
            if not decode_uid(values.get(tag, b"")) and tag in _REQUIRED:
                missing.append(name)
        except ValueError as error:
            return HeaderUnreadable(f"the {name} {error}")
    return HeaderUnreadable(f"no {', no '.join(missing)}")
