"""How the tests of this folder run the header scanner."""

import pytest
from tests.unit.adapters.data_set_bytes import ENCODINGS, EXPLICIT_LE, Encoding

from seriesgate.adapters.data_set.header_scanner import HeaderScanner
from seriesgate.gateway.ports import HeaderUnreadable
from seriesgate.series.model import InstanceHeader

each_encoding = pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda e: e.name)


def scan(
    data: bytes, transfer_syntax_uid: str = EXPLICIT_LE.transfer_syntax_uid, **limits: int
) -> InstanceHeader:
    scanner = HeaderScanner(transfer_syntax_uid, **limits)
    return scanner.feed(data) or scanner.finish()


def scan_encoded(encoding: Encoding, data: bytes) -> InstanceHeader:
    return scan(data, encoding.transfer_syntax_uid)


def reason(
    data: bytes, transfer_syntax_uid: str = EXPLICIT_LE.transfer_syntax_uid, **limits: int
) -> str:
    """Return why a data set is unreadable."""
    with pytest.raises(HeaderUnreadable) as caught:
        scan(data, transfer_syntax_uid, **limits)
    return str(caught.value)
