"""Well-formed inputs that the fuzzer starts from: beyond negotiation is where mistakes hide."""

from __future__ import annotations

from tests.data_sets import (
    DEFLATED,
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT_LE,
    encode,
    mr_data_set,
    mr_instance,
)
from tests.integration.scps import command_set
from tests.unit.upper_layer import wire

_ECHO = wire.p_data(wire.pdv(1, wire.COMMAND | wire.LAST, wire.c_echo_rq()))
_STORE = wire.p_data(wire.pdv(3, wire.COMMAND | wire.LAST, wire.c_store_rq())) + wire.p_data(
    wire.pdv(3, wire.LAST, mr_data_set())
)
_BOTH_IN_ONE = wire.p_data(
    wire.pdv(3, wire.COMMAND | wire.LAST, wire.c_store_rq()), wire.pdv(3, wire.LAST, mr_data_set())
)

_DATA_SETS = [
    bytes([number]) + encode(mr_instance(), syntax)
    for number, syntax in enumerate((IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED))
]


def _answer(status: int, retry_after: str = "", body: bytes = b"") -> bytes:
    return status.to_bytes(2) + b"\n" + retry_after.encode() + b"\n" + body


SEEDS: dict[str, list[bytes]] = {
    "pdu": [
        wire.associate_rq()[:1] + wire.associate_rq()[6:],
        wire.associate_ac()[:1] + wire.associate_ac()[6:],
        *(p[:1] + p[6:] for p in (wire.A_RELEASE_RQ, wire.A_ABORT_BY_USER, wire.A_ASSOCIATE_RJ)),
        _ECHO[:1] + _ECHO[6:],
    ],
    "command_set": [wire.c_echo_rq() * 2, wire.c_store_rq() * 2],
    "conversation": [
        wire.associate_rq() + _ECHO + wire.A_RELEASE_RQ,
        wire.associate_rq() + _STORE + _BOTH_IN_ONE + wire.A_RELEASE_RQ,
        wire.associate_rq() + _STORE[:-10] + wire.A_ABORT_BY_USER,
    ],
    "header": [data_set[:1] + data_set[1:] * count for data_set in _DATA_SETS for count in (1, 2)],
    "description": [
        *_DATA_SETS,
        *(
            bytes([1]) + mr_data_set(character_set=name, patient_name=patient)
            for name, patient in [
                ("ISO_IR 192", "M\u00fcller^J\u00f6rg"),
                ("\\ISO 2022 IR 87", "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"),
            ]
        ),
    ],
    "response": [
        command_set(),
        command_set(1, 0xA700, 0x8001, (0x0902, b"no room "), (0x1000, b"1.2.3\0")),
        command_set(1, 0xB007, 0x8001, (0x0902, b"\xff\x1b[31m\0\n")),
    ],
    "answer": [
        _answer(204),
        _answer(200, body=b'{"SeriesInstanceUID":"1.2.3"}'),
        _answer(200, body=b'{"RetryDeadLetters":["' + b"a" * 32 + b'"]}'),
        _answer(200, body=b"<!doctype html><html></html>"),
        _answer(503, "120"),
        _answer(429, "Wed, 21 Oct 2026 07:28:00 GMT"),
        _answer(422, body=b'{"errors":[{"field":"PatientName","message":"Too long"}]}'),
        _answer(422, body=b'{"detail":[{"loc":["body","PatientID"],"msg":"No"}]}'),
        _answer(302, "-1", b"[" * 100),
    ],
}
