"""A short day at a site: a resend, a conflict, a late instance, a server that fails.

`play` goes through it with one process that may fail or die; whatever stops it, the next gateway
goes on with the next step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tests.crash.site import STOPS, Answer, Gateway, Process, ProcessDied, instance

if TYPE_CHECKING:
    from tests.crash.site import Site


class Send(NamedTuple):
    """A sender sends an instance, and after a failure status does not try again."""

    series: str
    number: int
    content: int = 0
    end: float = 1.0


class Pass(NamedTuple):
    """Time passes."""

    seconds: float


class Serve(NamedTuple):
    """The server gives these answers next, and refuses these series from now on."""

    answers: tuple[Answer, ...]
    refuses: frozenset[str] = frozenset()


Step: TypeAlias = "Send | Pass | Serve"

A, B, C, D = "1.2.1", "1.2.2", "1.2.3", "1.2.4"
DAY: tuple[Step, ...] = (
    Serve((Answer.DOWN, Answer.LOST)),
    Send(A, 1),
    Send(A, 2),
    Send(B, 1, end=0.5),
    Send(A, 1),
    Pass(1.5),
    Send(A, 3),
    Send(B, 1),
    Send(B, 1, content=1),
    Pass(3.0),
    Serve((Answer.BUSY, Answer.WRONG)),
    Send(A, 2),
    Pass(8.0),
    Serve((Answer.BUSY,), refuses=frozenset({C})),
    Send(C, 1),
    Send(C, 2),
    Pass(120.0),
    Send(C, 1),
    # More than the write-ahead log takes before the first of them are synced.
    *(Send(D, number) for number in range(1, 6)),
    Pass(2.0),
)


async def play(site: Site, process: Process, steps: tuple[Step, ...] = DAY) -> None:
    """Go through the steps. `process` is the first to run; those after it have no faults."""
    gateway: Gateway | None = None
    for step in steps:
        try:
            if gateway is None:
                first, process = process, Process(watch=process.watch)
                gateway = Gateway(site, first)
            await _do(site, gateway, step)
        except (ProcessDied, *STOPS):
            if gateway is not None:
                await gateway.kill()
            gateway = None
    if gateway is not None:
        await gateway.kill()


async def _do(site: Site, gateway: Gateway, step: Step) -> None:
    match step:
        case Send(series, number, content, end):
            sop = f"{series}.{number}"
            gateway.send(series, instance(series, sop, number, content=content), sop, end=end)
            await gateway.check()
        case Pass(seconds):
            await gateway.advance(seconds)
        case Serve(answers, refuses):
            site.server.answers = list(answers)
            site.server.refuses |= refuses
