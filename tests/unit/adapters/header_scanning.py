"""How the tests of this folder run the header scanner."""

import itertools
from collections.abc import Sequence

import pytest
from tests.unit.adapters.data_set_bytes import ENCODINGS, EXPLICIT_LE, Encoding

from seriesgate.adapters.data_set.data_set_head import HeadLimits
from seriesgate.adapters.data_set.head_layout import HeadMemory
from seriesgate.adapters.data_set.header_scanner import HeaderScanner
from seriesgate.gateway.ports import HeaderUnreadable
from seriesgate.series.model import InstanceHeader

DEFAULT_LIMITS = HeadLimits()

each_encoding = pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda e: e.name)


def scan(
    data: bytes, transfer_syntax_uid: str = EXPLICIT_LE.transfer_syntax_uid, **limits: int
) -> InstanceHeader:
    scanner = HeaderScanner(transfer_syntax_uid, limits=HeadLimits(**limits))
    return scanner.feed(data) or scanner.finish()


def outcome(
    data: bytes,
    declared: str,
    cuts: Sequence[int] = (),
    *,
    limits: HeadLimits = DEFAULT_LIMITS,
    memory: HeadMemory | None = None,
) -> InstanceHeader | str:
    """Return the header or the reason, for fragments that are cut at `cuts`."""
    scanner = HeaderScanner(declared, limits=limits, memory=memory)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    try:
        for start, end in itertools.pairwise(edges):
            header = scanner.feed(memoryview(data)[start:end])
            if header is not None:
                return header
        return scanner.finish()
    except HeaderUnreadable as error:
        return str(error)


def scan_encoded(encoding: Encoding, data: bytes) -> InstanceHeader:
    return scan(data, encoding.transfer_syntax_uid)


def reason(
    data: bytes, transfer_syntax_uid: str = EXPLICIT_LE.transfer_syntax_uid, **limits: int
) -> str:
    """Return why a data set is unreadable."""
    with pytest.raises(HeaderUnreadable) as caught:
        scan(data, transfer_syntax_uid, **limits)
    return str(caught.value)
