"""The Storage SCP on real sockets: what it stores, whom it lets in, how it stops."""

from __future__ import annotations

import errno
import threading
from contextlib import closing
from ipaddress import ip_network
from time import monotonic
from unittest import mock

import pytest
from pydicom import dcmread
from tests.data_sets import mr_data_set
from tests.integration.receiver import MR_CONTEXT, PATIENCE, open_descriptors, running_receiver
from tests.unit.upper_layer import wire

from seriesgate.adapters.data_set.header_scanner import HeaderScanner
from seriesgate.adapters.spool.file_spool import Durability, FileSpool
from seriesgate.adapters.spool.incoming_file import SMALL
from seriesgate.adapters.state_folder import StateFolder, StateFolderUnusable
from seriesgate.gateway.associations import AssociationEnd, AssociationRefusal
from seriesgate.gateway.intake import Intake
from seriesgate.listener import ListenError
from seriesgate.upper_layer.acceptor import AcceptorConnection

P_DATA_TF, A_ABORT = 0x04, 0x07


@pytest.fixture
def receiver(tmp_path):
    with running_receiver(tmp_path) as running:
        yield running


@pytest.fixture
def receiver_of_four(tmp_path):
    """Of the four associations that it takes, two may be of one host."""
    with running_receiver(tmp_path, max_associations=4, max_associations_per_host=2) as running:
        yield running


def test_data_set_is_in_the_spool_bit_for_bit_behind_file_meta_of_our_own(receiver):
    data_set = mr_data_set(sop="1.2.3.4", series="1.2", pixels=300_000)
    with closing(receiver.associate()) as peer:
        assert peer.store(data_set=data_set) == 0x0000
    (path,) = receiver.files()
    assert path.read_bytes().endswith(data_set)
    instance = dcmread(path)
    assert path.read_bytes()[:132] == bytes(128) + b"DICM"
    assert instance.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4"
    assert instance.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert instance.file_meta.SourceApplicationEntityTitle == "MODALITY"
    assert instance.PatientID == "A/17"
    assert receiver.incoming() == []
    receiver.wait_until_idle()
    assert receiver.intake.open_counts() == (1, 1)


def test_data_set_in_the_smallest_fragments(receiver):
    data_set = mr_data_set(sop="1.2.3.4", series="1.2")
    with closing(receiver.associate()) as peer:
        peer.begin_store()
        last = len(data_set) - 2
        for start in range(0, len(data_set), 2):
            control = wire.LAST if start == last else 0
            peer.send(wire.p_data(wire.pdv(MR_CONTEXT, control, data_set[start : start + 2])))
        assert peer.response_status() == 0x0000
    assert receiver.files()[0].read_bytes().endswith(data_set)


def test_larger_pdu_than_announced_is_streamed(receiver):
    data_set = mr_data_set(sop="1.2.3.4", series="1.2", pixels=2_000_000)
    with closing(receiver.associate()) as peer:
        assert peer.store(data_set=data_set) == 0x0000
    assert receiver.files()[0].read_bytes().endswith(data_set)


def test_requests_that_run_ahead_are_answered_in_order(receiver):
    with closing(receiver.associate()) as peer:
        ahead = b""
        for number in range(50):
            sop = f"1.2.3.{number}"
            command = wire.c_store_rq(instance=wire.even(sop.encode()), message_id=number)
            ahead += wire.p_data(wire.pdv(MR_CONTEXT, 3, command))
            ahead += wire.p_data(wire.pdv(MR_CONTEXT, 2, mr_data_set(sop=sop, series="1.2")))
        peer.send(ahead)
        assert [peer.response_status() for _ in range(50)] == [0] * 50
    assert len(receiver.files()) == 50


def test_data_set_without_series_is_refused_and_the_association_goes_on(receiver):
    with closing(receiver.associate()) as peer:
        assert peer.store(data_set=b"") == 0xC000
        assert peer.store(data_set=b"garbage!" * 100) == 0xC000
        assert peer.store() == 0x0000
    assert len(receiver.files()) == 1
    assert receiver.incoming() == []


def test_other_instance_than_the_command_names_is_stored_with_a_warning(receiver):
    with closing(receiver.associate()) as peer:
        assert peer.store("1.2.3.4", data_set=mr_data_set(sop="9.9", series="1.2")) == 0xB007
    assert len(receiver.files()) == 1


@pytest.mark.parametrize("failing", ["os.pwrite", "os.fsync", "os.rename", "os.open"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EMFILE])
@pytest.mark.fault("F4", "F6")
def test_failing_disk_is_a700_and_the_next_instance_works(tmp_path, failing, error):
    # A small instance is synced in the write-ahead log, a large one by itself.
    large = mr_data_set(sop="1.2.3.4", series="1.2", pixels=SMALL)
    content = large if failing == "os.fsync" else None
    with running_receiver(tmp_path, durability=Durability.POWER) as receiver:
        with closing(receiver.associate()) as peer:
            with mock.patch(failing, side_effect=OSError(error, "fault")):
                assert peer.store(data_set=content) == 0xA700
            assert receiver.files() == []
            assert receiver.incoming() == []
            assert receiver.intake.open_counts() == (0, 0)
            assert peer.store() == 0x0000
        assert len(receiver.files()) == 1


@pytest.mark.parametrize("place", ["begin", "write", "finish"])
def test_bug_in_the_receiver_is_0110_for_one_instance_and_names_no_patient(receiver, caplog, place):
    target = {
        "begin": (Intake, "begin"),
        "write": (HeaderScanner, "feed"),
        "finish": (FileSpool, "_publish"),
    }[place]
    with closing(receiver.associate()) as peer:
        with mock.patch.object(*target, side_effect=ZeroDivisionError("Doe^Jane")):
            assert peer.store() == 0x0110
        assert receiver.intake.open_counts() == (0, 0)
        assert peer.store() == 0x0000
    assert receiver.incoming() == []
    assert "internal error: ZeroDivisionError" in caplog.text
    assert "Doe" not in caplog.text


def test_bug_in_an_association_ends_that_one_only(receiver):
    broken = receiver.associate()
    other = receiver.associate()
    with mock.patch.object(AcceptorConnection, "next_event", side_effect=ZeroDivisionError):
        broken.begin_store()
        assert broken.receive()[0] == 0x00
    assert other.store() == 0x0000
    assert receiver.incoming() == []
    broken.close()
    other.close()


def test_too_many_associations_are_rejected_as_transient(tmp_path):
    with running_receiver(tmp_path, max_associations=2) as receiver:
        peers = [receiver.associate(), receiver.associate()]
        with closing(receiver.connect()) as third:
            third.send(wire.associate_rq())
            kind, body = third.receive()
            assert (kind, tuple(body[1:])) == (0x03, (2, 3, 2))
        peers[0].send(wire.A_RELEASE_RQ)
        assert peers[0].receive()[0] == 0x06
        peers[0].close()
        with receiver.scp._changed:
            assert receiver.scp._changed.wait_for(
                lambda: len(receiver.scp._associations) == 1, PATIENCE
            )
        receiver.canary()
        peers[1].close()


@pytest.mark.fault("F23")
def test_host_that_has_its_share_is_rejected_as_transient_and_others_are_served(
    receiver_of_four, caplog
):
    receiver = receiver_of_four
    held = [receiver.associate(source="127.0.0.2") for _ in range(2)]
    with closing(receiver.connect("127.0.0.2")) as third:
        third.send(wire.associate_rq(calling=b"EVIL"))
        kind, body = third.receive()
        assert (kind, tuple(body[1:])) == (0x03, (2, 3, 2))
    others = [receiver.associate() for _ in range(2)]
    assert others[0].store() == 0x0000
    with closing(receiver.connect("127.0.0.3")) as fifth:
        fifth.send(wire.associate_rq())
        assert fifth.receive()[0] == 0x03
    held.pop().close()
    with receiver.scp._changed:
        assert receiver.scp._changed.wait_for(
            lambda: len(receiver.scp._associations) == 3, PATIENCE
        )
    held.append(receiver.associate(source="127.0.0.2"))
    refused = receiver.associations.status().refused
    assert {reason: count for reason, count in refused.items() if count} == {
        AssociationRefusal.TOO_MANY_OF_HOST: 1,
        AssociationRefusal.TOO_MANY_ASSOCIATIONS: 1,
    }
    assert caplog.messages == [
        "association of 'EVIL' at 127.0.0.2: rejected (2/3/2), too many of host",
        "association of 'MODALITY' at 127.0.0.3: rejected (2/3/2), too many associations",
    ]
    for peer in (*held, *others):
        peer.close()


def test_what_was_rejected_does_not_count_towards_the_share(receiver_of_four):
    receiver = receiver_of_four
    held = [receiver.associate() for _ in range(2)]
    rejected = [receiver.connect() for _ in range(5)]
    for peer in rejected:
        peer.send(wire.associate_rq())
        assert peer.receive()[0] == 0x03
    held.pop().close()
    with receiver.scp._changed:
        assert receiver.scp._changed.wait_for(
            lambda: len(receiver.scp._associations) == 1, PATIENCE
        )
    held.append(receiver.associate())
    for peer in (*held, *rejected):
        peer.close()


def test_association_that_only_echoes_ends_and_one_that_stores_lives_on(tmp_path):
    with running_receiver(tmp_path, store_timeout=0.5) as receiver:
        idle, useful = receiver.associate(), receiver.associate()
        end = monotonic() + PATIENCE
        kind, body = P_DATA_TF, b""
        while kind == P_DATA_TF:
            assert monotonic() < end
            idle.send(wire.command_pdu(wire.c_echo_rq(), 1))
            kind, body = idle.receive()
            assert useful.store() == 0x0000
        assert (kind, body[2:]) == (A_ABORT, b"\0\0")
        idle.close()
        useful.close()
        receiver.wait_until_idle()
        assert receiver.associations.status().ended[AssociationEnd.TIMED_OUT] == 1


def test_calling_ae_title_that_is_not_on_the_list_is_rejected(tmp_path):
    with running_receiver(tmp_path, allowed_calling_ae_titles=frozenset({"MR1"})) as receiver:
        with closing(receiver.connect()) as stranger:
            stranger.send(wire.associate_rq(calling=b"CT1"))
            kind, body = stranger.receive()
            assert (kind, tuple(body[1:])) == (0x03, (1, 1, 3))
        for same in (b" MR1 ", b"MR1\0\xcc\xcc\xfd\xab", b"MR1 \0CT1"):
            receiver.associate(calling=same).close()
            receiver.wait_until_idle()
        senders = receiver.associations.status().senders
        assert [sender.calling_ae_title for sender in senders] == ["MR1"]


def test_rejected_association_takes_no_place(tmp_path):
    allowed = frozenset({"MR1"})
    with running_receiver(
        tmp_path, max_associations=1, allowed_calling_ae_titles=allowed
    ) as receiver:
        strangers = [receiver.connect() for _ in range(5)]
        for stranger in strangers:
            stranger.send(wire.associate_rq(calling=b"CT1"))
            assert stranger.receive()[0] == 0x03
        receiver.associate(calling=b"MR1").close()
        for stranger in strangers:
            stranger.close()


def test_network_that_is_not_on_the_list_is_not_served(tmp_path):
    with (
        running_receiver(tmp_path, allowed_networks=(ip_network("10.0.0.0/8"),)) as receiver,
        closing(receiver.connect()) as peer,
    ):
        assert peer.receive() == (0, b"")


@pytest.mark.fault("F31")
def test_stop_lets_the_message_under_way_end_and_aborts_then(tmp_path, monkeypatch):
    with running_receiver(tmp_path) as receiver:
        held = threading.Event()
        hold = receiver.intake.hold

        def hold_and_tell(header):
            hold(header)
            held.set()

        monkeypatch.setattr(receiver.intake, "hold", hold_and_tell)
        busy, idle = receiver.associate(), receiver.associate()
        data_set = mr_data_set(sop="1.2.3.4", series="1.2", pixels=4000)
        busy.begin_store()
        busy.send(wire.p_data(wire.pdv(MR_CONTEXT, 0, data_set[:4000])))
        assert held.wait(PATIENCE)
        stopping = threading.Thread(target=receiver.scp.stop, args=(10.0,))
        stopping.start()
        assert idle.receive()[0] == 0x07
        busy.send(wire.p_data(wire.pdv(MR_CONTEXT, wire.LAST, data_set[4000:])))
        assert busy.response_status() == 0x0000
        assert busy.receive()[0] == 0x07
        busy.close()
        idle.close()
        stopping.join()
        assert len(receiver.files()) == 1
        with pytest.raises(ConnectionRefusedError):
            receiver.connect()


@pytest.mark.fault("F31")
def test_message_that_does_not_end_is_dropped_when_the_grace_is_over(tmp_path):
    with running_receiver(tmp_path) as receiver:
        peer = receiver.associate()
        peer.begin_store()
        peer.send(wire.p_data(wire.pdv(MR_CONTEXT, 0, mr_data_set()[:200])))
        receiver.scp.stop(0.2)
        assert receiver.files() == []
        assert receiver.incoming() == []
        peer.close()


def test_port_that_is_taken_is_one_clear_line(receiver):
    receiver.scp._port = receiver.port
    with pytest.raises(ListenError, match="another program has this port"):
        receiver.scp.start()


@pytest.mark.fault("F30")
def test_second_gateway_on_the_same_folder_refuses(receiver):
    with pytest.raises(StateFolderUnusable, match="already running"):
        StateFolder(receiver.folder)


def test_everything_is_given_back_after_many_associations(receiver):
    receiver.canary()
    receiver.wait_until_idle()
    descriptors = open_descriptors()
    threads = threading.active_count()
    for number in range(100):
        with closing(receiver.associate()) as peer:
            if number % 3 == 0:
                peer.store(f"1.2.3.{number}")
            elif number % 3 == 1:
                peer.begin_store()
    receiver.wait_until_idle()
    assert open_descriptors() == descriptors
    assert threading.active_count() == threads
    assert receiver.incoming() == []
