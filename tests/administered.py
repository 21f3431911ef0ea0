"""A gateway of fakes with its administration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seriesgate.adapters.data_set.header_scanner import HeaderScanners
from seriesgate.gateway.administration import Administration
from seriesgate.gateway.associations import AssociationRegister
from seriesgate.gateway.bulkhead import Bulkheads
from seriesgate.gateway.closer import SeriesCloser
from seriesgate.gateway.deaths import NO_DEATHS
from seriesgate.gateway.dispatcher import SeriesDispatcher
from seriesgate.gateway.intake import Intake
from seriesgate.gateway.ports import (
    KeptAs,
    Outcome,
)
from seriesgate.gateway.retention import Retention
from seriesgate.gateway.series_reader import SeriesReader
from seriesgate.gateway.totals import GatewayTotals
from seriesgate.series.collector import SeriesCollector
from seriesgate.series.delivery import (
    Delivery,
    FailureKind,
    PublishFailure,
    RetryPolicy,
    delivery_id_of,
)
from seriesgate.series.description import SeriesDescription
from seriesgate.series.revision import next_revision
from tests.examples import AT, collected, instance, report
from tests.fakes import FakeClock, MemorySpool, ScriptedPublisher, inline
from tests.memory_journal import MemoryJournal

if TYPE_CHECKING:
    from seriesgate.gateway.ports import Journal

REFUSED = PublishFailure(FailureKind.REJECTED, "the server answered 422")


class AdministeredGateway:
    """Nothing runs by itself: a test runs what it is about. To be made in an event loop."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.clock = FakeClock()
        self.spool = MemorySpool()
        self.memory_journal = MemoryJournal()
        self.journal = journal or self.memory_journal
        self.publisher = ScriptedPublisher()
        self.totals = GatewayTotals()
        self.associations = AssociationRegister(self.clock)
        self.intake = Intake(
            self.spool,
            SeriesCollector(1.0),
            HeaderScanners(),
            self.clock,
            lambda: self.closer.wake(),  # noqa: PLW0108 - made later
            self.totals,
        )
        self.bulkheads = Bulkheads(self.clock)
        self.retention = Retention(
            self.journal,
            self.spool,
            self.clock,
            inline,
            inline,
            self.bulkheads,
            keep_delivered=0.0,
            remember_delivered=3600.0,
        )
        self.dispatcher = SeriesDispatcher(
            self.journal,
            self.publisher,
            RetryPolicy(),
            self.clock,
            inline,
            lambda: 0.0,
            lambda _: self.retention.wake(),
            self.totals,
            self.bulkheads,
        )
        self.closer = SeriesCloser(
            self.intake,
            SeriesReader(self.spool, lambda _path: SeriesDescription(), NO_DEATHS, self.totals),
            self.journal,
            self.clock,
            inline,
            inline,
            self.dispatcher.deliver,
            self.retention.wake,
            self.totals,
            "gateway",
            self.associations.senders,
            self.bulkheads,
        )
        self.administration = Administration(
            self.intake,
            self.spool,
            self.journal,
            self.dispatcher,
            self.retention,
            self.associations,
            self.clock,
            inline,
            inline,
            self.totals,
            self.bulkheads,
        )

    def receive(self, sop: str, series: str = "1.2") -> None:
        """Have an instance stored and counted."""
        received = instance(sop, series)
        self.spool.add(received)
        self.intake.hold(received.header)
        self.intake.count(received, KeptAs.NEW)

    def bury(self, series: str) -> Delivery:
        """Record a series of two instances whose delivery is a dead letter."""
        delivery = self.owe(series)
        self.journal.settle([Outcome(delivery, REFUSED, is_final=True)], AT)
        return delivery

    def owe(self, series: str) -> Delivery:
        """Record a series of two instances whose delivery is owed."""
        revision = next_revision(None, collected("1", "2", series=series), AT)
        assert revision is not None
        sent = report(series, count=2).model_copy(update={"ClosedAt": AT})
        delivery = Delivery(delivery_id_of(sent), sent)
        self.journal.record([(revision, delivery)])
        return delivery
