"""What DCMTK makes of our answers: rejections, refusals and aborts, in its words and exit codes."""

from __future__ import annotations

import errno
import logging
import re
from contextlib import closing
from dataclasses import replace
from ipaddress import ip_network
from unittest import mock

import pytest
from tests.data_sets import mr_instance, write_file
from tests.e2e.instances import contents, self_made
from tests.e2e.processes import Process
from tests.e2e.requestors import dcmtk, dcmtk_command
from tests.integration.receiver import running_receiver

ACKNOWLEDGED = "Received Store Response (Success)"
# The exit code of dcmsend for "cannot negotiate association".
CANNOT_NEGOTIATE = 61


@pytest.fixture
def receiver(tmp_path):
    with running_receiver(tmp_path / "state") as running:
        yield running


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "seriesgate")
    return caplog


def test_acknowledged_instances_stay_when_storescu_aborts(receiver, tmp_path, log):
    files = [self_made(tmp_path) for _ in range(3)]
    assert "Aborting Association" in dcmtk(receiver, "storescu", "--abort", *files)
    receiver.wait_until_idle()
    assert "'STORESCU' at 127.0.0.1: aborted by the peer (0/0); 3 stored" in log.text
    assert contents(receiver.files()) == contents(files)


def test_stop_aborts_storescu_between_two_instances(receiver, tmp_path, log):
    command = dcmtk_command(receiver, "storescu", "--repeat", "100000", "+II", self_made(tmp_path))
    sender = Process(*command, cwd=tmp_path)
    try:
        sender.wait_for(re.escape(ACKNOWLEDGED), 5)
        receiver.scp.stop(10.0)
        assert sender.wait() != 0
    finally:
        sender.stop()
    output = "\n".join(sender.output)
    assert "Peer Aborted Association" in output
    assert len(receiver.files()) == output.count(ACKNOWLEDGED)
    assert "aborted: the gateway stops" in log.text
    assert "internal error" not in log.text


@pytest.mark.parametrize(
    ("changes", "reason", "logged"),
    [
        (
            {"allowed_calling_ae_titles": frozenset({"MR1"})},
            "Calling AE Title Not Recognized",
            "'STORESCU' at 127.0.0.1: rejected (1/1/3)",
        ),
        (
            {"ae_title": "OTHER", "accept_any_called_ae_title": False},
            "Called AE Title Not Recognized",
            "'STORESCU' at 127.0.0.1: rejected (1/1/7)",
        ),
    ],
)
def test_unwelcome_ae_title_is_rejected_for_good(receiver, tmp_path, log, changes, reason, logged):
    receiver.scp._policy = replace(receiver.scp._policy, **changes)
    path = self_made(tmp_path)
    output = dcmtk(receiver, "storescu", path, expect=1)
    assert "Result: Rejected Permanent, Source: Service User" in output
    assert f"Reason: {reason}" in output
    dcmtk(receiver, "dcmsend", path, expect=CANNOT_NEGOTIATE)
    dcmtk(receiver, "echoscu", expect=1)
    assert logged in log.text
    assert receiver.files() == []


def test_full_house_is_rejected_for_now(tmp_path):
    path = self_made(tmp_path)
    with (
        running_receiver(tmp_path / "state", max_associations=1) as receiver,
        closing(receiver.associate()),
    ):
        output = dcmtk(receiver, "storescu", path, expect=1)
        assert "Result: Rejected Transient, Source: Service Provider (Presentation" in output
        assert "Reason: Local Limit Exceeded" in output
        dcmtk(receiver, "dcmsend", path, expect=CANNOT_NEGOTIATE)


def test_strange_network_gets_no_answer(tmp_path):
    path = self_made(tmp_path)
    networks = (ip_network("10.0.0.0/8"),)
    with running_receiver(tmp_path / "state", allowed_networks=networks) as receiver:
        output = dcmtk(receiver, "storescu", path, expect=1)
        assert "Association Request Failed: 0006:0317 Peer aborted Association" in output
        dcmtk(receiver, "dcmsend", path, expect=CANNOT_NEGOTIATE)


def test_refused_instance_is_an_exit_code_of_storescu_and_the_next_one_is_stored(
    receiver, tmp_path
):
    orphan = mr_instance("1.1", "1.2")
    del orphan.SeriesInstanceUID
    files = [write_file(tmp_path / "orphan.dcm", orphan), self_made(tmp_path)]
    # It halts, and its exit code is the upper byte of the status, which is C000.
    output = dcmtk(receiver, "storescu", *files, expect=0xC0)
    assert "Received Store Response (Error: CannotUnderstand)" in output
    assert receiver.files() == []
    assert ACKNOWLEDGED in dcmtk(receiver, "storescu", "--no-halt", *files)
    assert contents(receiver.files()) == contents(files[1:])


@pytest.mark.fault("F4", "F5")
def test_full_disk_as_storescu_sees_it(receiver, tmp_path):
    path = self_made(tmp_path)
    with mock.patch("os.pwrite", side_effect=OSError(errno.ENOSPC, "No space left on device")):
        output = dcmtk(receiver, "storescu", path, expect=0xA7)
    assert "Received Store Response (Refused: OutOfResources)" in output
    dcmtk(receiver, "storescu", path)
    assert contents(receiver.files()) == contents([path])


def test_user_identity_is_taken_and_not_confirmed(receiver, tmp_path):
    files = [self_made(tmp_path) for _ in range(2)]
    identity = ("--user", "radiographer", "--password", "secret")
    dcmtk(receiver, "storescu", *identity, files[0])
    # PS3.7 D.3.3.7: who asks for a positive response and gets none knows that nobody looked.
    output = dcmtk(receiver, "storescu", *identity, "--pos-response", files[1], expect=1)
    assert "Positive response requested but none received" in output
    assert contents(receiver.files()) == contents(files[:1])
