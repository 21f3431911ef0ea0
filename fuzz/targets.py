"""What is fuzzed, and what must never happen: any exception but the declared one, any disagreement.

Each target takes arbitrary bytes and returns when all is well.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from tests.unit.server.examples import FIVE_FIELDS, START, heartbeat

from seriesgate.adapters.data_set.data_set_head import HeadLimits
from seriesgate.adapters.data_set.head_layout import HeadMemory
from seriesgate.adapters.data_set.header_scanner import HeaderScanner
from seriesgate.adapters.data_set.series_description import read_series_description
from seriesgate.adapters.http_heartbeats import HttpHeartbeats
from seriesgate.adapters.server_answer import ServerAnswer
from seriesgate.adapters.spool.part10 import FileMeta, encode_head
from seriesgate.gateway.heartbeat import HeartbeatFailed, HeartbeatUnknown
from seriesgate.gateway.ports import HeaderUnreadable, SeriesUnreadable, SpoolUnavailable
from seriesgate.requestor.dimse_requests import C_STORE_RSP, decode_response
from seriesgate.requestor.send_summary import SendTally
from seriesgate.series.report import fitting_report
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

_LONGEST_REASON = 1024


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


def description(data: bytes) -> None:
    """Describe an instance in a file; whatever it says, what is told of it fits into a report."""
    if not data:
        return
    meta = FileMeta("1.2", "1.2.3", _SYNTAXES[data[0] % len(_SYNTAXES)], "MODALITY")
    with NamedTemporaryFile() as file:
        file.write(encode_head(meta) + data[1:])
        file.flush()
        try:
            found = read_series_description(Path(file.name))
        except (SeriesUnreadable, SpoolUnavailable):
            return
    texts = {_keyword(name): value for name, value in asdict(found).items() if value}
    _, unfit = fitting_report(FIVE_FIELDS | texts)
    if unfit:
        raise AssertionError(f"a report does not take what was read: {sorted(unfit)}")


def answer(data: bytes) -> None:
    """Take what a server answers to a report, and to a heartbeat: status, Retry-After and body."""
    status, _, rest = data.partition(b"\n")
    retry_after, _, body = rest.partition(b"\n")
    number = int.from_bytes(status[:2]) % 1000
    given = ServerAnswer(number, retry_after.decode("latin-1"), body)
    publisher: Any = _Answering(given)
    with suppress(HeartbeatFailed, HeartbeatUnknown):
        asyncio.run(HttpHeartbeats(publisher, "one").beat(heartbeat()))
    failure = given.failure("1.2.3", START)
    if failure is None:
        if not 200 <= number < 300:  # noqa: PLR2004 - the class of success
            raise AssertionError("a refusal was taken for success")
        return
    if len(failure.reason) > _LONGEST_REASON or not failure.reason.isprintable():
        raise AssertionError("a reason is not one line")
    if failure.retry_after is not None and not 0 <= failure.retry_after < math.inf:
        raise AssertionError("nobody can wait so long")


def response(data: bytes) -> None:
    """Read what a peer answers to a C-STORE; what is told of it is one line."""
    try:
        given = decode_response(data, C_STORE_RSP)
    except ValueError:
        return
    tally = SendTally()
    tally.answered("1.dcm", given.status, len(data), given.comment)
    summary = tally.summary(unsent=0, seconds=1.0, interrupted=False)
    for outcome in (*summary.warnings, *summary.refused):
        if not outcome.comment.isprintable():
            raise AssertionError("a comment is not one line")


class _Answering:
    """A publisher to which a server has given this answer."""

    def __init__(self, given: ServerAnswer) -> None:
        self._given = given

    async def post(self, *_request: object) -> ServerAnswer:
        return self._given


def _keyword(name: str) -> str:
    """Return the field of a report that has the name of an attribute of a description."""
    return name.title().replace("_", "").replace("Uid", "UID").replace("Id", "ID")


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
    "description": description,
    "answer": answer,
    "response": response,
}
