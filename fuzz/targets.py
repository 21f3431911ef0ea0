"""What is fuzzed, and what must never happen: any exception but the declared one, any disagreement.

Each target takes arbitrary bytes and returns when all is well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seriesgate.adapters.data_set.data_set_head import HeadLimits
from seriesgate.adapters.data_set.head_layout import HeadMemory
from seriesgate.adapters.data_set.header_scanner import HeaderScanner
from seriesgate.gateway.ports import HeaderUnreadable
from seriesgate.upper_layer.acceptor import AcceptorConnection
from seriesgate.upper_layer.codec import decode, encode
from seriesgate.upper_layer.dimse import CommandDecoder, CommandSet, decode_command_set
from seriesgate.upper_layer.errors import PeerViolation
from seriesgate.upper_layer.events import (
    NEED_DATA,
    AcceptAssociation,
    AssociationRequested,
    ConnectionClosed,
    DataSetEnded,
    DataSetFragment,
    Event,
    StoreResponse,
)
from seriesgate.upper_layer.negotiation import AcceptorPolicy
from seriesgate.upper_layer.pdu import PduType

if TYPE_CHECKING:
    from collections.abc import Callable

_POLICY = AcceptorPolicy(
    ae_title="STORESCP",
    accept_any_called_ae_title=True,
    implementation_class_uid="1.2.3",
    implementation_version_name="FUZZ",
)
_SYNTAXES = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.113619.5.2",
    "1.3.9999.1",
)


def pdu(data: bytes) -> None:
    """Decode a PDU body; what can be decoded survives encoding and decoding again."""
    if not data:
        return
    try:
        pdu_type = PduType(data[0] % 8)
        decoded = decode(pdu_type, data[1:])
    except (ValueError, PeerViolation):
        return
    again = decode(pdu_type, encode(decoded)[6:])
    if again != decoded:
        raise AssertionError("a PDU changed on its way through the codec")


def command_set(data: bytes) -> None:
    """Decode two command sets; the first must not change what the decoder makes of the second."""
    middle = len(data) // 2
    decoder = CommandDecoder()
    for half in (data[:middle], data[middle:]):
        if _decoded(decoder.decode, half) != _decoded(decode_command_set, half):
            raise AssertionError("what was remembered changed the command set")


def _decoded(decode_one: Callable[[bytes], CommandSet], data: bytes) -> CommandSet | None:
    try:
        return decode_one(data)
    except PeerViolation:
        return None


def conversation(data: bytes) -> None:
    """Talk to an acceptor; how the bytes are cut into pieces must not change what it tells."""
    whole = _converse([data])
    middle = len(data) // 2
    if _converse([data[:middle], data[middle:]]) != whole:
        raise AssertionError("segmentation changed the events")


def header(data: bytes) -> None:
    """Scan a data set; how it is cut into fragments must not change what is found.

    Nor must what is remembered of another one: the second half after the first.
    """
    if not data:
        return
    syntax = _SYNTAXES[data[0] % len(_SYNTAXES)]
    body = data[1:]
    middle = len(body) // 2
    if _scan(syntax, [body]) != _scan(syntax, [body[:middle], body[middle:]]):
        raise AssertionError("fragmentation changed the header")
    memory = HeadMemory(HeadLimits().max_value_bytes)
    _scan(syntax, [body[:middle]], memory)
    if _scan(syntax, [body[middle:]], memory) != _scan(syntax, [body[middle:]]):
        raise AssertionError("what was remembered changed the header")


def _scan(syntax: str, fragments: list[bytes], memory: HeadMemory | None = None) -> object:
    scanner = HeaderScanner(syntax, memory=memory)
    try:
        for fragment in fragments:
            found = scanner.feed(fragment)
            if found is not None:
                return found
        return scanner.finish()
    except HeaderUnreadable:
        return None


def _converse(pieces: list[bytes]) -> list[object]:
    """Return the events with fragments joined, and the answers."""
    acceptor = AcceptorConnection(_POLICY, 0.0)
    told: list[object] = []
    sent = b""
    for piece in (*pieces, b""):
        if acceptor.closed:
            break
        acceptor.receive_data(memoryview(piece) if piece else b"", 0.0)
        while (event := acceptor.next_event()) is not NEED_DATA:
            _answer(acceptor, event)
            _note(told, event)
            sent += acceptor.data_to_send()
    return [*told, sent]


def _answer(acceptor: AcceptorConnection, event: Event) -> None:
    if isinstance(event, AssociationRequested):
        acceptor.send(AcceptAssociation(), 0.0)
    elif isinstance(event, DataSetEnded):
        acceptor.send(StoreResponse(0), 0.0)


def _note(told: list[object], event: Event) -> None:
    if not isinstance(event, DataSetFragment):
        if not isinstance(event, ConnectionClosed):
            told.append(event)
    elif told and isinstance(told[-1], bytes):
        told[-1] += bytes(event.data)
    else:
        told.append(bytes(event.data))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "pdu": pdu,
    "command_set": command_set,
    "conversation": conversation,
    "header": header,
}
