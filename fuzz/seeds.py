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
from tests.unit.upper_layer import wire

_ECHO = wire.p_data(wire.pdv(1, wire.COMMAND | wire.LAST, wire.c_echo_rq()))
_STORE = wire.p_data(wire.pdv(3, wire.COMMAND | wire.LAST, wire.c_store_rq())) + wire.p_data(
    wire.pdv(3, wire.LAST, mr_data_set())
)
_BOTH_IN_ONE = wire.p_data(
    wire.pdv(3, wire.COMMAND | wire.LAST, wire.c_store_rq()), wire.pdv(3, wire.LAST, mr_data_set())
)

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
    "header": [
        bytes([number]) + encode(mr_instance(), syntax) * count
        for number, syntax in enumerate((IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED))
        for count in (1, 2)
    ],
}
