"""PDUs in full, byte by byte, each beside the value it stands for."""

from __future__ import annotations

from seriesgate.upper_layer.pdu import (
    AAbort,
    AAssociateAc,
    AAssociateRj,
    AAssociateRq,
    AReleaseRp,
    AReleaseRq,
    AsynchronousOperations,
    CommonExtendedNegotiation,
    ContextResult,
    ExtendedNegotiation,
    Pdu,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)


def _bytes(dump: str) -> bytes:
    """Read a dump: hexadecimal, or text in quotes; everything after # is a comment."""
    parts: list[bytes] = []
    for line in dump.splitlines():
        code = line.partition("#")[0].strip()
        parts.append(code[1:-1].encode() if code.startswith("'") else bytes.fromhex(code))
    return b"".join(parts)


A_ASSOCIATE_RQ = _bytes("""
    01                              # PDU type
    00                              # reserved
    0000 011D                       # length of all that follows: 285
    0001                            # protocol version, bit 0
    0000                            # reserved
    'STORESCP        '              # called AE title
    '        MODALITY'              # calling AE title
    00010203 04050607 08090A0B 0C0D0E0F 10111213 14151617 18191A1B 1C1D1E1F   # reserved
    10 00 0015                      # application context, 21 bytes
    '1.2.840.10008.3.1.1.1'
    20 00 003B                      # presentation context, 59 bytes
    03 00 00 00                     # its id, reserved
    30 00 0007                      # abstract syntax
    '1.2.3.4'
    40 00 0011                      # transfer syntax
    '1.2.840.10008.1.2'
    40 00 0013                      # transfer syntax
    '1.2.840.10008.1.2.1'
    50 00 007D                      # user information, 125 bytes
    51 00 0004                      # maximum length received
    0000 4000                       # 16384
    52 00 0009                      # implementation class UID
    '1.2.276.1'
    53 00 0004                      # asynchronous operations window
    0008 0001                       # may invoke 8, may perform 1
    54 00 000B                      # role selection
    0007                            # UID length
    '1.2.3.4'
    01 00                           # SCU yes, SCP no
    55 00 0006                      # implementation version name
    'TEST_1'
    56 00 000F                      # extended negotiation
    0007                            # UID length
    '1.2.3.4'
    02 00 03 00 00 00               # service class application information
    57 00 0024                      # common extended negotiation
    0007                            # UID length
    '1.2.3.4'
    0011                            # service class UID length
    '1.2.840.10008.4.2'
    0006                            # length of related general SOP classes
    0004                            # UID length
    '1.22'
    58 00 0008                      # user identity
    02                              # user name and passcode
    01                              # positive response requested
    0001                            # length of the primary field
    'u'
    0001                            # length of the secondary field
    'p'
""")

A_ASSOCIATE_RQ_VALUE = AAssociateRq(
    called_ae_title_field=b"STORESCP        ",
    calling_ae_title_field=b"        MODALITY",
    presentation_contexts=(
        ProposedContext(3, "1.2.3.4", ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")),
    ),
    user_information=UserInformation(
        max_pdu_length=16384,
        implementation_class_uid="1.2.276.1",
        implementation_version_name="TEST_1",
        asynchronous_operations=AsynchronousOperations(8, 1),
        role_selections=(RoleSelection("1.2.3.4", is_scu=True, is_scp=False),),
        extended_negotiations=(ExtendedNegotiation("1.2.3.4", bytes.fromhex("020003000000")),),
        common_extended_negotiations=(
            CommonExtendedNegotiation("1.2.3.4", "1.2.840.10008.4.2", ("1.22",)),
        ),
        user_identity=UserIdentity(2, True, b"u", b"p"),
    ),
    reserved_field=bytes(range(32)),
)

A_ASSOCIATE_AC = _bytes("""
    02                              # PDU type
    00                              # reserved
    0000 00A0                       # length of all that follows: 160
    0001                            # protocol version
    0000                            # reserved
    'STORESCP        '              # called AE title, as received
    'MODALITY        '              # calling AE title, as received
    00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000   # reserved
    10 00 0015                      # application context
    '1.2.840.10008.3.1.1.1'
    21 00 0019                      # presentation context result, 25 bytes
    01 00 00 00                     # its id, reserved, acceptance, reserved
    40 00 0011                      # transfer syntax
    '1.2.840.10008.1.2'
    50 00 0022                      # user information, 34 bytes
    51 00 0004                      # maximum length received
    0002 0000                       # 131072
    52 00 0009                      # implementation class UID
    '1.2.276.2'
    59 00 0009                      # user identity response
    0007                            # its length
    'granted'
""")

A_ASSOCIATE_AC_VALUE = AAssociateAc(
    called_ae_title_field=b"STORESCP        ",
    calling_ae_title_field=b"MODALITY        ",
    context_results=(ContextResult(1, 0, "1.2.840.10008.1.2"),),
    user_information=UserInformation(
        max_pdu_length=131072,
        implementation_class_uid="1.2.276.2",
        user_identity_response=b"granted",
    ),
)

GOLDENS: list[tuple[bytes, Pdu]] = [
    (A_ASSOCIATE_RQ, A_ASSOCIATE_RQ_VALUE),
    (A_ASSOCIATE_AC, A_ASSOCIATE_AC_VALUE),
    # type, reserved, length, reserved, result, source, reason
    (bytes.fromhex("03 00 00000004 00 02 03 02"), AAssociateRj(result=2, source=3, reason=2)),
    (bytes.fromhex("05 00 00000004 00000000"), AReleaseRq()),
    (bytes.fromhex("06 00 00000004 00000000"), AReleaseRp()),
    # type, reserved, length, two reserved, source, reason
    (bytes.fromhex("07 00 00000004 00 00 02 06"), AAbort(source=2, reason=6)),
]
