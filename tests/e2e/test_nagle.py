"""Whether DCMTK's storescu leaves Nagle's algorithm on is seen, and what it would cost."""

from __future__ import annotations

import os
import subprocess

import httpx
import pytest
from tests.e2e.instances import self_made
from tests.e2e.processes import PATIENCE, running_seriesgate

# A trial on a machine that is busy with other tests may be undecided.
_MOST_TRIALS = 3


def send(gate, files, no_delay):
    """Send some instances on an association of its own; return what was seen of the sender."""
    command = ["storescu", "-aet", "SENDER", "127.0.0.1", str(gate.scp_port), *map(str, files)]
    environment = {**os.environ, "TCP_NODELAY": no_delay}
    subprocess.run(command, env=environment, check=True, timeout=PATIENCE)
    answer = httpx.get(f"http://127.0.0.1:{gate.admin_port}/senders", trust_env=False)
    (sender,) = answer.json()["senders"]
    return sender


@pytest.mark.parametrize(("no_delay", "sign"), [("0", "on"), ("1", "no_sign")])
def test_sender_that_leaves_nagle_on_is_told_from_one_that_does_not(tmp_path, no_delay, sign):
    files = [self_made(tmp_path) for _ in range(6)]
    with running_seriesgate(tmp_path) as gate:
        sender = send(gate, files, no_delay)
        for _ in range(_MOST_TRIALS - 1):
            if sender["nagle"]["sign"] == "cannot_tell":
                sender = send(gate, files, no_delay)
    nagle = sender["nagle"]
    assert (nagle["sign"], sender["calling_ae_title"]) == (sign, "SENDER")
    if sign == "on":
        assert 0.038 <= nagle["wait_seconds"] <= 0.070
        saved = nagle["wait_seconds"] * sender["instances"]
        assert nagle["saved_seconds_estimate"] == pytest.approx(saved, abs=0.1)
    else:
        assert (nagle["wait_seconds"], nagle["saved_seconds_estimate"]) == (0.0, 0.0)
