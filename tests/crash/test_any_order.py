"""Whatever happens in whatever order, nothing is lost: hypothesis looks for an order that does."""

from __future__ import annotations

import os
from datetime import timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.crash.busy_site import BusySite
from tests.crash.site import Answer, Fault, Process

from seriesgate.adapters.spool.file_spool import Durability

EXHAUSTIVE = os.environ.get("EXHAUSTIVE") == "1"
SERIES = st.sampled_from(["1.2.1", "1.2.2", "1.2.3"])
NUMBERS = st.integers(1, 4)
SECONDS = st.sampled_from([0.2, 0.99, 1.01, 5.0, 61.0, 3600.0])


class AnyOrder(RuleBasedStateMachine):
    """Senders, a server, a clock, a disk and a gateway that dies."""

    @initialize(durability=st.sampled_from(Durability))
    def begin(self, durability):
        self.next = Process()
        self.busy = BusySite(durability, self.take_process)

    def take_process(self):
        process, self.next = self.next, Process()
        return process

    @rule(series=SERIES, number=NUMBERS, content=st.sampled_from([0, 0, 0, 1]))
    def send(self, series, number, content):
        self.busy.send(series, number, content)

    @rule(series=SERIES, number=NUMBERS, end=st.sampled_from([0.0, 0.1, 0.9]))
    def abort(self, series, number, end):
        self.busy.send(series, number, end=end)

    @rule(seconds=SECONDS)
    def pass_time(self, seconds):
        self.busy.pass_time(seconds)

    @rule(answer=st.sampled_from([a for a in Answer if a is not Answer.REFUSED]))
    def serve(self, answer):
        self.busy.serve(answer)

    @rule(series=SERIES)
    def refuse(self, series):
        self.busy.refuse(series)

    @rule()
    def kill(self):
        self.busy.kill()

    @rule(fault=st.sampled_from([Fault.KILL, Fault.ENOSPC, Fault.EMFILE]), at=st.integers(1, 60))
    def kill_and_let_the_next_fail(self, fault, at):
        self.next = Process(fails_at=at, fault=fault)
        self.busy.kill()

    @rule(seed=st.integers(0, 99))
    def lose_power(self, seed):
        if self.busy.site.durability is Durability.POWER:
            self.busy.lose_power(Random(seed))

    @rule(hours=st.sampled_from([-24, -1, 1, 24]))
    def set_clock(self, hours):
        self.busy.set_clock(timedelta(hours=hours))

    @rule(is_full=st.booleans())
    def fill_disk(self, is_full):
        self.busy.fill_disk(is_full=is_full)

    def teardown(self):
        if hasattr(self, "busy"):
            try:
                self.busy.finish()
            finally:
                self.busy.close()


TestAnyOrder = pytest.mark.fault("F1", "F4", "F8", "F15", "F16", "F26")(AnyOrder.TestCase)
TestAnyOrder.settings = settings(
    max_examples=500 if EXHAUSTIVE else 25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
