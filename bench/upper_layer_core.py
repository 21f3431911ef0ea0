"""CPU cost of the upper layer core for one C-STORE, with all bytes in memory.

Prints the microseconds from the first byte of a request to the last byte of its response, for an
instance of 10 KB and for one of 512 KB in P-DATA-TF PDUs of 128 KB.
"""

from __future__ import annotations

import struct
import time

from seriesgate.upper_layer.acceptor import AcceptorConnection
from seriesgate.upper_layer.codec import encode
from seriesgate.upper_layer.dimse import StoreStatus
from seriesgate.upper_layer.events import (
    NEED_DATA,
    AcceptAssociation,
    AssociationRequested,
    DataSetEnded,
    DataSetFragment,
    StoreResponse,
)
from seriesgate.upper_layer.negotiation import AcceptorPolicy
from seriesgate.upper_layer.pdu import (
    AAssociateRq,
    PDataTf,
    PresentationDataValue,
    ProposedContext,
    UserInformation,
)

MR_IMAGE_STORAGE = b"1.2.840.10008.5.1.4.1.1.4\0"
SOP_INSTANCE_UID = "1.2.826.0.1.3680043.8.498.12345678901234567890123456789012345678"
MAX_PDU_LENGTH = 128 * 1024
RECEIVED_AT_ONCE = 256 * 1024
ROUNDS = 7
SECONDS_PER_ROUND = 0.3


def associate_request() -> bytes:
    context = ProposedContext(1, MR_IMAGE_STORAGE.rstrip(b"\0").decode(), ("1.2.840.10008.1.2.1",))
    return encode(AAssociateRq(b"STORESCP", b"BENCH", (context,), UserInformation(16384, "1.2.3")))


def command_set(sop_instance_uid: str = SOP_INSTANCE_UID) -> bytes:
    def element(number: int, value: bytes) -> bytes:
        return struct.pack("<HHI", 0, number, len(value)) + value

    def short(number: int, value: int) -> bytes:
        return element(number, value.to_bytes(2, "little"))

    elements = (
        element(0x0002, MR_IMAGE_STORAGE)
        + short(0x0100, 0x0001)
        + short(0x0110, 7)
        + short(0x0700, 0)
        + short(0x0800, 1)
        + element(0x1000, sop_instance_uid.encode().ljust(len(sop_instance_uid) + 1 & ~1, b"\0"))
    )
    return element(0x0000, len(elements).to_bytes(4, "little")) + elements


def store_request(data_set: bytes, sop_instance_uid: str = SOP_INSTANCE_UID) -> bytes:
    command = command_set(sop_instance_uid)
    pdus = [PresentationDataValue(1, is_command=True, is_last=True, data=command)]
    step = MAX_PDU_LENGTH - 6
    for start in range(0, len(data_set), step):
        part = data_set[start : start + step]
        is_last = start + step >= len(data_set)
        pdus.append(PresentationDataValue(1, is_command=False, is_last=is_last, data=part))
    return b"".join(encode(PDataTf((value,))) for value in pdus)


def drain(connection: AcceptorConnection, now: float) -> int:
    """Answer what comes and return how many bytes of data sets there were."""
    size = 0
    while (event := connection.next_event()) is not NEED_DATA:
        if isinstance(event, DataSetFragment):
            size += len(event.data)
        elif isinstance(event, DataSetEnded):
            connection.send(StoreResponse(StoreStatus.SUCCESS), now)
        elif isinstance(event, AssociationRequested):
            connection.send(AcceptAssociation(), now)
    return size


def microseconds_per_store(size: int) -> float:
    """Return the least of a few rounds: the others had company on the processor."""
    connection = AcceptorConnection(
        AcceptorPolicy(ae_title="STORESCP", implementation_class_uid="1.2.276.9"), 0.0
    )
    connection.receive_data(associate_request(), 0.0)
    drain(connection, 0.0)
    connection.data_to_send()
    request = memoryview(store_request(bytes(size)))
    pieces = [
        request[start : start + RECEIVED_AT_ONCE]
        for start in range(0, len(request), RECEIVED_AT_ONCE)
    ]
    best = float("inf")
    for _ in range(ROUNDS):
        stores = 0
        begin = time.process_time()
        while (spent := time.process_time() - begin) < SECONDS_PER_ROUND:
            for _ in range(50):
                received = 0
                for piece in pieces:
                    connection.receive_data(piece, 1.0)
                    received += drain(connection, 1.0)
                assert received == size
                assert connection.data_to_send()
                connection.next_timer()
            stores += 50
        best = min(best, spent / stores)
    return best * 1e6


def main() -> None:
    for size in (10 * 1024, 512 * 1024):
        print(f"{size // 1024:4d} KB instance: {microseconds_per_store(size):6.1f} us per C-STORE")


if __name__ == "__main__":
    main()
