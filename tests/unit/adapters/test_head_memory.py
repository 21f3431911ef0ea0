"""The memory of the header scanner: it spares walks, and never changes what comes out."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.adapters.data_set_bytes import (
    DEFLATED,
    ENCODINGS,
    EXPLICIT_LE,
    HEADER,
    IMPLICIT_LE,
    SERIES,
    SOP_CLASS,
    STUDY,
    UNDEFINED,
    Encoding,
    deflate,
)
from tests.unit.adapters.header_scanning import each_encoding, outcome

from seriesgate.adapters.data_set import header_scanner
from seriesgate.adapters.data_set.data_set_head import DataSetHead, HeadLimits
from seriesgate.adapters.data_set.head_layout import MAX_STEPS, HeadMemory, Step
from seriesgate.adapters.data_set.header_scanner import HeaderScanners
from seriesgate.series.model import InstanceHeader

LIMITS = HeadLimits()
SYNTAX = EXPLICIT_LE.transfer_syntax_uid
SEQUENCE = 0x00081140
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


def memory_of(*data_sets: bytes, declared: str = SYNTAX) -> HeadMemory:
    memory = HeadMemory(LIMITS.max_value_bytes)
    for data in data_sets:
        outcome(data, declared, memory=memory)
    return memory


def is_known(memory: HeadMemory, data: bytes) -> bool:
    return memory.values(memoryview(data)) is not None


def instance(encoding: Encoding, uid: str, number: bytes, manufacturer: bytes = b"M ") -> bytes:
    return b"".join(
        (
            encoding.element(0x00080008, "CS", b"ORIGINAL"),
            encoding.ui(0x00080016, SOP_CLASS),
            encoding.ui(0x00080018, uid),
            encoding.element(0x00080070, "LO", manufacturer),
            encoding.element(0x00091001, "UN", bytes(20)),
            encoding.element(0x00100020, "LO", b"A/17"),
            encoding.uids(),
            encoding.instance_number(number),
            encoding.after(),
        )
    )


@each_encoding
def test_a_like_data_set_is_known_whatever_the_lengths_of_the_wanted_values(encoding):
    declared = encoding.transfer_syntax_uid
    memory = memory_of(instance(encoding, "1.2.3.9", b"9 "), declared=declared)
    other = instance(encoding, "1.2.3.1000", b"1000")
    assert is_known(memory, other)
    header = InstanceHeader(SOP_CLASS, "1.2.3.1000", STUDY, SERIES, b"A/17", 1000)
    assert outcome(other, declared, memory=memory) == header


@each_encoding
def test_an_element_whose_length_has_varied_may_have_any_length(encoding):
    short, longer, other, too_long = (
        instance(encoding, "1.2.3.9", b"9 ", b"M" * length) for length in (2, 4, 8, 2000)
    )
    declared = encoding.transfer_syntax_uid
    assert not is_known(memory_of(short, declared=declared), other)
    assert is_known(memory_of(short, longer, declared=declared), other)
    assert not is_known(memory_of(short, longer, declared=declared), too_long)


def test_another_element_makes_another_layout():
    data = instance(EXPLICIT_LE, "1.2.3.9", b"9 ")
    other = data.replace(b"\x08\0\x70\0LO", b"\x08\0\x71\0LO")
    memory = memory_of(data)
    assert not is_known(memory, other)
    outcome(other, SYNTAX, memory=memory)
    assert is_known(memory, other)
    assert not is_known(memory, data)


def test_an_element_that_varied_in_other_heads_is_compared_again():
    lengths = {length: instance(EXPLICIT_LE, "1.2.3.9", b"9 ", b"M" * length) for length in (2, 4)}
    other = {n: data.replace(b"\x08\0\x70\0LO", b"\x08\0\x71\0LO") for n, data in lengths.items()}
    assert not is_known(memory_of(lengths[2], other[2]), other[4])
    assert not is_known(memory_of(lengths[2], other[4]), other[2])


def test_of_duplicates_the_first_one_counts():
    twice = EXPLICIT_LE.ui(0x0020000D, "1.2") + EXPLICIT_LE.data_set()
    memory = memory_of(twice)
    assert outcome(twice, SYNTAX, memory=memory) == outcome(twice, SYNTAX)


STUDY_ELEMENT = EXPLICIT_LE.ui(0x0020000D, "9.9")
IMPLICIT_STUDY = IMPLICIT_LE.ui(0x0020000D, STUDY)
NO_STUDY = IMPLICIT_LE.header(0x0020000D, "UI", len(IMPLICIT_STUDY))


@pytest.mark.parametrize(
    ("encoding", "learnt", "trap"),
    [
        pytest.param(
            EXPLICIT_LE,
            # A made-up VR may have two lengths: the second counts if the first is zero.
            [EXPLICIT_LE.element(0x00091002, "XY", b"1" * length) for length in (2, 4)],
            EXPLICIT_LE.element(0x00091002, "XY", b""),
            id="VR",
        ),
        pytest.param(
            EXPLICIT_LE,
            # Behind the end of a sequence nothing is skipped, whatever its length.
            [
                EXPLICIT_LE.header(SEQUENCE, "SQ", UNDEFINED) + EXPLICIT_LE.bare(SEQUENCE_END, n)
                for n in (0, 2)
            ],
            EXPLICIT_LE.header(SEQUENCE, "SQ", UNDEFINED)
            + EXPLICIT_LE.bare(SEQUENCE_END, len(STUDY_ELEMENT))
            + STUDY_ELEMENT,
            id="delimiter",
        ),
        pytest.param(
            IMPLICIT_LE,
            # Behind a sequence of defined length, the same delimiter is skipped with its length.
            [
                IMPLICIT_LE.element(SEQUENCE, "SQ", b"ab")
                + IMPLICIT_LE.bare(SEQUENCE_END, len(NO_STUDY))
                + NO_STUDY,
                IMPLICIT_LE.header(SEQUENCE, "SQ", UNDEFINED)
                + IMPLICIT_LE.bare(SEQUENCE_END, len(NO_STUDY)),
            ],
            IMPLICIT_LE.element(SEQUENCE, "SQ", b"ab")
            + IMPLICIT_LE.bare(SEQUENCE_END, len(NO_STUDY))
            + NO_STUDY,
            id="sequence",
        ),
    ],
)
def test_a_length_that_decides_how_to_go_on_is_no_joint(encoding, learnt, trap):
    declared = encoding.transfer_syntax_uid
    memory = memory_of(*map(encoding.data_set, learnt), declared=declared)
    data = encoding.data_set(trap)
    assert outcome(data, declared, memory=memory) == outcome(data, declared)


def test_a_longer_value_still_counts_towards_the_limit():
    short, long = (instance(EXPLICIT_LE, uid, b"9 ") for uid in ("1.2.3.9", "1.2.3.1000"))
    limits = HeadLimits(max_bytes=len(short) - len(EXPLICIT_LE.after()))
    memory = HeadMemory(limits.max_value_bytes)
    assert isinstance(outcome(short, SYNTAX, limits=limits, memory=memory), InstanceHeader)
    expected = f"the head of the data set is longer than {limits.max_bytes} bytes"
    assert outcome(long, SYNTAX, limits=limits, memory=memory) == expected


def test_the_head_must_be_all_there():
    data = instance(EXPLICIT_LE, "1.2.3.9", b"9 ")
    memory = memory_of(data)
    end = len(data) - len(EXPLICIT_LE.after())
    assert is_known(memory, data[:end])
    assert not any(is_known(memory, data[:cut]) for cut in range(end))


def test_a_head_without_an_end_is_not_remembered():
    data = EXPLICIT_LE.before_uids() + EXPLICIT_LE.uids()
    assert not is_known(memory_of(data), data)


def test_a_deflated_head_is_not_remembered():
    data = deflate(EXPLICIT_LE.data_set())
    memory = memory_of(data, data, declared=DEFLATED)
    assert not is_known(memory, data)
    assert not is_known(memory, EXPLICIT_LE.data_set())


@pytest.mark.parametrize(("count", "expected"), [(MAX_STEPS, True), (MAX_STEPS + 1, False)])
def test_a_head_of_too_many_elements_is_not_remembered(count, expected):
    own = 9  # up to (0020,0013)
    fillers = [EXPLICIT_LE.element(0x00110010, "LO", b"")] * (count - own)
    data = EXPLICIT_LE.data_set(*fillers)
    assert is_known(memory_of(data), data) is expected


class Pupil(HeadMemory):
    """Notes after how many heads it learnt."""

    def __init__(self) -> None:
        super().__init__(LIMITS.max_value_bytes)
        self.heads = 0
        self.learnt_at: list[int] = []

    def learn(self, steps: Sequence[Step]) -> None:
        super().learn(steps)
        self.learnt_at.append(self.heads)


def test_heads_that_are_never_alike_are_learnt_ever_more_seldom():
    memory = Pupil()
    for number in range(300):
        other = EXPLICIT_LE.element(0x00110010 + number, "LO", b"")
        memory.heads += 1
        assert outcome(EXPLICIT_LE.data_set(other), SYNTAX, memory=memory) == HEADER
    assert memory.learnt_at == [1, 2, 4, 8, 16, 32, 64, 128, 192, 256]


def test_after_a_known_head_the_next_unknown_one_is_learnt_at_once():
    memory = Pupil()
    for number in (1, 2, 2, 3, 4):
        other = EXPLICIT_LE.element(0x00110010 + number, "LO", b"")
        memory.heads += 1
        outcome(EXPLICIT_LE.data_set(other), SYNTAX, memory=memory)
    assert memory.learnt_at == [1, 2, 4, 5]


@pytest.fixture
def walks(monkeypatch):
    """Return the transfer syntaxes of the data sets that were walked."""
    walked = []

    def walk(transfer_syntax_uid: str, **options: Any) -> DataSetHead:
        walked.append(transfer_syntax_uid)
        return DataSetHead(transfer_syntax_uid, **options)

    monkeypatch.setattr(header_scanner, "DataSetHead", walk)
    return walked


def test_each_thread_remembers_its_own_data_sets(walks):
    scanners = HeaderScanners()
    data = instance(EXPLICIT_LE, "1.2.3.9", b"9 ")
    scanners(SYNTAX).feed(data)
    scanners(SYNTAX).feed(data)
    assert len(walks) == 1
    thread = threading.Thread(target=lambda: scanners(SYNTAX).feed(data))
    thread.start()
    thread.join()
    assert len(walks) == 2


def test_another_transfer_syntax_is_walked(walks):
    scanners = HeaderScanners()
    for encoding in (*ENCODINGS, *ENCODINGS):
        scanners(encoding.transfer_syntax_uid).feed(instance(encoding, "1.2.3.9", b"9 "))
    assert walks == [encoding.transfer_syntax_uid for encoding in (*ENCODINGS, *ENCODINGS)]


# Whatever comes, one after the other

FIRST_TAGS = (0x00020010, 0x00080005, 0x00080008, 0x00080016, 0x00080018)
TAGS = (0x00080018, 0x00080070, 0x00091001, 0x00100020, 0x00180050, 0x0020000D, 0x0020000E)
LAST_TAGS = (0x00200011, 0x00200013, 0x00200020, 0x00280002, 0x7FE00010)
#: What is there in each data set of a series; only the lengths vary. VR "" is for delimiters.
Skeleton = list[tuple[int, str]]
vrs = st.sampled_from(["CS", "UI", "LO", "UN", "OB", "XY", "??"])
lengths = st.sampled_from([0, 2, 4, 6, 30, 1100, UNDEFINED])


@st.composite
def skeletons(draw: st.DrawFn) -> Skeleton:
    """Draw elements, sequences, and delimiters where none belong."""

    def some(tags: Sequence[int]) -> Skeleton:
        drawn = draw(st.lists(st.tuples(st.sampled_from(tags), vrs), max_size=3))
        return sorted(drawn) if draw(st.booleans()) else drawn

    inside = [(ITEM, ""), *some(TAGS), (ITEM_END, "")] * draw(st.integers(0, 2))
    sequence = [(SEQUENCE, draw(st.sampled_from(["SQ", "UN"]))), *inside, (SEQUENCE_END, "")]
    return [
        *some(FIRST_TAGS),
        *draw(st.sampled_from([[], sequence])),
        *some(TAGS),
        *((tag, "UI") for tag in (0x00080018, 0x0020000D, 0x0020000E)),
        *draw(st.sampled_from([[], [], [(SEQUENCE_END, "")], sequence])),
        *some(LAST_TAGS),
        (0x00200013, "IS"),
    ]


def usual_length(tag: int) -> int:
    return UNDEFINED if tag in {SEQUENCE, ITEM} else 0 if tag in {ITEM_END, SEQUENCE_END} else 4


def encoded(encoding: Encoding, tag: int, vr: str, length: int) -> bytes:
    header = encoding.header(tag, vr, length % 2**16) if vr else encoding.bare(tag, length)
    if encoding.is_explicit and vr in {"OB", "UN", "SQ"}:
        header = encoding.header(tag, vr, length)
    return header + b"1" * (0 if length == UNDEFINED else length)


@st.composite
def series(draw: st.DrawFn) -> tuple[str, list[bytes]]:
    """Draw a transfer syntax and data sets that differ in the lengths of a few elements."""
    encoding = draw(st.sampled_from(ENCODINGS))
    declared = draw(st.sampled_from([*ENCODINGS, encoding, encoding])).transfer_syntax_uid
    skeleton = draw(skeletons())
    varying = draw(st.sets(st.integers(0, len(skeleton) - 1), max_size=3))
    data_sets = [
        b"".join(
            encoded(encoding, tag, vr, draw(lengths) if n in varying else usual_length(tag))
            for n, (tag, vr) in enumerate(skeleton)
        )
        for _ in range(draw(st.integers(2, 6)))
    ]
    return declared, data_sets


cuts = st.just(list[int]()) | st.lists(st.integers(0, 10_000), max_size=3)


@settings(deadline=None, max_examples=300)
@given(
    series(),
    cuts,
    st.just(LIMITS)
    | st.builds(
        HeadLimits,
        max_bytes=st.just(4096) | st.integers(1, 400),
        max_depth=st.integers(0, 2),
        max_elements=st.just(1000) | st.integers(1, 20),
        max_value_bytes=st.sampled_from([4, 1024]),
    ),
)
def test_memory_never_changes_an_outcome(drawn, cuts, limits):
    declared, data_sets = drawn
    memory = HeadMemory(limits.max_value_bytes)
    for data in data_sets:
        expected = outcome(data, declared, limits=limits)
        assert outcome(data, declared, cuts, limits=limits, memory=memory) == expected


@settings(deadline=None, max_examples=150)
@given(st.data(), st.sampled_from(ENCODINGS))
def test_a_known_data_set_may_be_damaged_anywhere(data, encoding):
    """Damage one field of a data set that is known well, where lengths vary too."""
    declared = encoding.transfer_syntax_uid
    good = [instance(encoding, "1.2.3.9", b"9 ", b"M" * length) for length in (2, 4)]
    memory = memory_of(*good, declared=declared)
    damaged = bytearray(data.draw(st.sampled_from(good)))
    start = data.draw(st.integers(0, len(damaged) - 256))
    damage = data.draw(st.binary(min_size=1, max_size=4) | st.just(b"\xff\xff\xff\xff"))
    damaged[start : start + len(damage)] = damage
    assert outcome(bytes(damaged), declared, memory=memory) == outcome(bytes(damaged), declared)
