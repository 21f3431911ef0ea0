"""Hostile crowds: connections without number, and one peer that raises hell beside the others."""

from __future__ import annotations

import os
import resource
import select
import threading
from collections import Counter, deque
from contextlib import closing, contextmanager, suppress
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from tests.data_sets import mr_data_set
from tests.integration.footprint import KIB, MIB
from tests.integration.receiver import running_receiver
from tests.integration.siege import besieged, wait_for
from tests.integration.test_storage_scp_tls import Authority
from tests.unit.upper_layer import wire

from seriesgate.adapters import storage_scp
from seriesgate.adapters.spool.incoming_file import SMALL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.integration.receiver import Peer, Receiver
    from tests.integration.siege import Siege

#: How often one peer connects and breaks off, or is rejected.
CYCLES = 300
SILENT_CONNECTIONS = 600
ASSOCIATIONS_AT_ONCE = 200
STORES_BESIDE_THE_MOB = 100

ASSOCIATED = 0x02
OVER_LIMIT = (0x03, b"\0\2\3\2")


@contextmanager
def many_descriptors() -> Iterator[None]:
    """Let the process have both ends of each connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def association_threads() -> int:
    return sum(thread.name == "association" for thread in threading.enumerate())


def count_closed(peers: Iterable[Peer]) -> int:
    """Return how many of the peers, to which nothing is said, have something to read: the end."""
    poll = select.poll()
    for peer in peers:
        poll.register(peer.socket, select.POLLIN)
    return len(poll.poll(0))


def connect_silently(siege: Siege) -> list[Peer]:
    return [siege.connect() for _ in range(SILENT_CONNECTIONS)]


@pytest.mark.fault("F20")
def test_silent_connections_are_bounded_and_keep_nobody_out(tmp_path):
    most = storage_scp._MAX_PENDING
    # Each has a thread and a small buffer.
    bound = most * 32 * KIB
    with (
        many_descriptors(),
        besieged(tmp_path, grows_by=bound, has_canary=False, rehearsal=connect_silently) as siege,
    ):
        silent = connect_silently(siege)
        siege.receiver.canary()  # behind all of them in the queue
        wait_for("the oldest are cut", lambda: association_threads() <= most + 2)
        assert count_closed(silent) >= SILENT_CONNECTIONS - most
        assert silent[0].receive() == (0, b"")
        siege.receiver.canary()


def test_host_with_silent_connections_loses_its_own_and_not_those_of_others(tmp_path, monkeypatch):
    """Not the oldest of all goes: that is a sender on a slow line, which is about to ask."""
    most = 8
    monkeypatch.setattr(storage_scp, "_MAX_PENDING", most)
    with running_receiver(tmp_path / "state") as receiver:
        slow = [receiver.connect() for _ in range(2)]
        silent = [receiver.connect("127.0.0.2") for _ in range(5 * most)]
        wait_for("the host keeps its share", lambda: count_closed(silent) == 4.5 * most)
        other = [receiver.connect("127.0.0.3") for _ in range(5 * most)]
        wait_for("all places are taken", lambda: count_closed(silent + other) >= 9 * most - 2)
        assert count_closed(slow) == 0
        for peer in slow:
            peer.send(wire.associate_rq())
            assert peer.receive()[0] == ASSOCIATED
        for peer in (*slow, *silent, *other):
            peer.close()


def test_silent_connections_to_a_tls_port_are_bounded_too(tmp_path, monkeypatch):
    most = 8
    monkeypatch.setattr(storage_scp, "_MAX_PENDING", most)
    tls = Authority(tmp_path).server_context()
    with running_receiver(tmp_path / "state", tls=tls) as receiver:
        silent = [receiver.connect() for _ in range(3 * most)]
        wait_for("the oldest are cut", lambda: count_closed(silent) >= 2 * most)
        wait_for("their threads end", lambda: association_threads() <= most)
        for peer in silent:
            peer.close()


@pytest.mark.fault("F23")
def test_associations_over_the_limit_are_rejected_at_once_and_the_others_lose_nothing(tmp_path):
    limit = 8
    with (
        many_descriptors(),
        besieged(tmp_path, grows_by=8 * MIB, has_canary=False, max_associations=limit) as siege,
    ):
        crowd = [siege.connect() for _ in range(ASSOCIATIONS_AT_ONCE)]
        began = monotonic()
        for peer in crowd:
            peer.send(wire.associate_rq())
        answers = [peer.receive() for peer in crowd]
        assert monotonic() - began < 1.0
        served = [
            peer for peer, (kind, _) in zip(crowd, answers, strict=True) if kind == ASSOCIATED
        ]
        assert len(served) == limit
        assert answers.count(OVER_LIMIT) == ASSOCIATIONS_AT_ONCE - limit
        for number, peer in enumerate(served):
            assert peer.store(f"1.2.3.{number}") == 0x0000
        served[0].close()
        wait_for("a place is free", lambda: siege.receiver.scp.association_count() < limit)
        siege.receiver.canary()
        assert [report.InstancesInSeries for report in siege.reports()] == [limit]


def connect_and_close(receiver: Receiver) -> None:
    receiver.connect().close()


def connect_and_reset(receiver: Receiver) -> None:
    receiver.connect().reset()


def be_rejected(receiver: Receiver) -> None:
    with closing(receiver.connect()) as peer:
        peer.send(wire.associate_rq(calling=b"STRANGER"))
        assert peer.receive() == (0x03, b"\0\1\1\3")


def abort(receiver: Receiver) -> None:
    with closing(receiver.associate()) as peer:
        peer.send(wire.A_ABORT_BY_USER)
        assert peer.receive() == (0, b"")


def request_and_run_away(receiver: Receiver) -> None:
    peer = receiver.connect()
    peer.send(wire.associate_rq())
    peer.reset()


def break_a_store_off(receiver: Receiver) -> None:
    peer = receiver.associate()
    peer.begin_store()
    peer.send(wire.data_pdu(mr_data_set()[:300], last=False))
    peer.reset()


def send_garbage(receiver: Receiver) -> None:
    with closing(receiver.connect()) as peer:
        peer.send(b"GET / HTTP/1.1\r\n\r\n")
        assert peer.receive()[0] == 0x07


@pytest.mark.parametrize(
    "visit",
    [
        connect_and_close,
        connect_and_reset,
        be_rejected,
        abort,
        request_and_run_away,
        break_a_store_off,
        send_garbage,
    ],
)
def test_visits_again_and_again_leave_nothing_behind(tmp_path, visit):
    allowed = frozenset({"MODALITY"})
    with besieged(tmp_path, grows_by=MIB, allowed_calling_ae_titles=allowed) as siege:
        for _ in range(CYCLES):
            visit(siege.receiver)
    assert siege.receiver.files() == []


@pytest.mark.parametrize(
    ("visit", "lines"), [(be_rejected, 1), (abort, 20), (break_a_store_off, 20), (send_garbage, 1)]
)
def test_visit_leaves_one_line_in_the_log_and_whoever_is_refused_one_for_all(
    tmp_path, visit, lines
):
    allowed = frozenset({"MODALITY"})
    with besieged(
        tmp_path, grows_by=MIB, has_canary=False, allowed_calling_ae_titles=allowed
    ) as siege:
        before = siege.log.count
        for _ in range(20):
            visit(siege.receiver)
        siege.receiver.wait_until_idle()
        assert siege.log.count - before == lines


_REQUEST, _COMMAND = wire.associate_rq(), wire.command_pdu(wire.c_store_rq())
HELL = [
    b"",
    b"GET / HTTP/1.1\r\n\r\n",
    bytes.fromhex("0100FFFFFFFF") + bytes(64 * KIB),
    wire.associate_rq(user_information=wire.item(0x50, b"\x54\x00\xff\xff" * 10_000)),
    wire.associate_rq(contexts=wire.proposed(1, b"1", b"1") * 40_000),
    _REQUEST + _REQUEST,
    _REQUEST + wire.command_pdu(bytes(64 * KIB)),
    _REQUEST + _COMMAND + wire.data_pdu(b"\xff" * MIB),
    _REQUEST + wire.store(mr_data_set(sop="6.6.6", series="6.6"))[:-10],
    _REQUEST + wire.command_pdu(wire.c_echo_rq(), context_id=1) * 2000,
    _REQUEST + _COMMAND + wire.data_pdu(b"", last=False) * 9999,
]
# Each attack twice at a time: what they cost together is what the test of their memory allows.
_HELD_BY_THE_MOB = 2 * len(HELL)
_WELL_BEHAVED = 2  # the test's own peer and a canary


@contextmanager
def mob_at(receiver: Receiver) -> Iterator[Counter[str]]:
    """Have a thread raise hell; it holds many connections and leaves in every way."""
    stop = threading.Event()
    visits: Counter[str] = Counter()
    most = _HELD_BY_THE_MOB - 1 + _WELL_BEHAVED

    def rage() -> None:
        held: deque[Peer] = deque()
        for number in count():
            if stop.is_set():
                break
            if len(held) == _HELD_BY_THE_MOB:
                oldest = held.popleft()
                (oldest.reset if number % 2 else oldest.close)()
                # Paced: on a busy machine, more and more that have left would still be dealt with.
                wait_for("who has left is let go", lambda: association_threads() <= most)
            peer = receiver.connect()
            held.append(peer)
            attack = HELL[number % len(HELL)]
            with suppress(ConnectionError):
                peer.send(attack)
                if attack:
                    peer.receive()  # paced: the mob may not outrun the rest of the process
            visits["all"] += 1
        for peer in held:
            peer.close()

    mob = threading.Thread(target=rage, name="mob")
    mob.start()
    try:
        yield visits
    finally:
        stop.set()
        mob.join()


def let_the_mob_rage(siege: Siege) -> None:
    with mob_at(siege.receiver) as visits:
        wait_for("hell breaks loose", lambda: visits["all"] > 4 * len(HELL))


def test_one_peer_that_raises_hell_does_not_disturb_the_others(tmp_path):
    sops = [f"1.2.3.{number}" for number in range(STORES_BESIDE_THE_MOB)]
    with besieged(
        tmp_path, grows_by=16 * MIB, rehearsal=let_the_mob_rage, max_associations=64
    ) as siege:
        peer = siege.associate()
        with mob_at(siege.receiver) as visits:
            wait_for("hell breaks loose", lambda: visits["all"] > 4 * len(HELL))
            for sop in sops:
                began = monotonic()
                assert peer.store(sop, "1.2") == 0x0000
                assert monotonic() - began < 1.0
            siege.receiver.canary()
        peer.close()
        counts = {report.SeriesInstanceUID: report.InstancesInSeries for report in siege.reports()}
        assert counts["1.2"] == len(sops)


def test_what_a_receiver_opens_is_not_inherited_by_child_processes(tmp_path):
    before = set(os.listdir("/proc/self/fd"))
    with besieged(tmp_path, grows_by=MIB) as siege:
        peer = siege.associate()
        peer.begin_store()
        # A file of its own is made for what is not small.
        peer.send(wire.data_pdu(mr_data_set(pixels=SMALL), last=False))
        wait_for("the file is made", lambda: siege.receiver.incoming() != [])
        opened = set(os.listdir("/proc/self/fd")) - before
        assert len(opened) >= 5, "lock, listener, file and both ends of the connection"
        for descriptor in opened:
            with suppress(OSError):  # one of listdir itself, or of the canary
                assert not os.get_inheritable(int(descriptor))


@pytest.mark.fault("F7")
def test_receiver_without_file_descriptors_goes_on_when_there_are_some(
    tmp_path, caplog, monkeypatch
):
    tries = []

    class Watched(frozenset[int]):
        def __contains__(self, error: object) -> bool:
            tries.append(error)
            return super().__contains__(error)

    monkeypatch.setattr(storage_scp, "_EXHAUSTED", Watched(storage_scp._EXHAUSTED))
    monkeypatch.setattr(storage_scp, "_EXHAUSTED_PAUSE", 0.001)
    with running_receiver(tmp_path / "state") as receiver:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken: list[int] = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 10, hard))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                taken.extend(os.dup(0) for _ in count())
            os.close(taken.pop())
            waiting = receiver.connect()
            wait_for("it tries again and again", lambda: len(tries) > 5)
        finally:
            for descriptor in taken:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with closing(waiting) as peer:
            peer.send(wire.associate_rq())
            assert peer.receive()[0] == ASSOCIATED
    assert caplog.text.count("cannot accept a connection") == 1
