"""How the gateway stands: as a running one says, or as its journal has it when none runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from seriesgate import __version__
from seriesgate.adapters.admin.json_form import outbox_json
from seriesgate.adapters.admin.senders_json import senders_json
from seriesgate.gateway.outbox import read_outbox
from seriesgate.gateway.sender_memory import remembered
from seriesgate.wiring.doctor.finding import Finding, ok, problem, skipped, warning
from seriesgate.wiring.local_outbox import LocalOutboxError, local_journal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seriesgate.settings.gateway import GatewaySettings

_MAX_LISTED = 1000
# A delivery that waits longer than this is worth a look, in seconds: as the alert of the runbook.
_LONG_PENDING = 600
# The clock may be corrected by so much between the start of the gateway and now: in seconds, and as
# a part of that time.
_CORRECTION, _CORRECTION_RATE = 2.0, 0.0005


@dataclass(frozen=True, slots=True)
class GatewayState:
    """What the gateway tells of itself: the answers of /status, /outbox and /senders.

    Each is None where it could not be had; `trouble` says why in one line then. `is_mute` says that
    something answers where the gateway should be, and does not tell.
    """

    status: dict[str, Any] | None = None
    outbox: dict[str, Any] | None = None
    senders: dict[str, Any] | None = None
    trouble: str = ""
    is_mute: bool = False

    @property
    def is_running(self) -> bool:
        """Whether a gateway answers."""
        return self.status is not None


def left_behind(settings: GatewaySettings, not_running: str) -> GatewayState:
    """Return what a gateway that does not run has left in its journal."""
    if not (settings.state_dir / "journal.db").exists():
        return GatewayState(trouble=f"{not_running}; there is no journal yet")
    try:
        with local_journal(settings.state_dir) as journal:
            outbox = outbox_json(read_outbox(journal, _MAX_LISTED))
            known = remembered(journal, settings.quiet_period)
    except LocalOutboxError as error:
        return GatewayState(trouble=str(error))
    return GatewayState(
        outbox=outbox, senders=senders_json(known, settings.quiet_period), trouble=not_running
    )


def check_gateway(state: GatewayState) -> Iterator[Finding]:
    """Check that a gateway runs, can do its work, and is of this version."""
    name = "gateway"
    status = state.status
    if status is None:
        yield (problem if state.is_mute else warning)(name, state.trouble)
        return
    if not status["ready"]:
        yield problem(name, f"it runs and can't do its work: {'; '.join(status['not_ready'])}")
    elif not status["instances"]["adds_up"]:
        yield problem(
            name,
            "the sum of its instances does not add up: see the runbook, and keep the output of "
            "`seriesgate status --json`",
        )
    else:
        yield ok(name, f"seriesgate {status['version']} runs, and is ready")
    if status["version"] != __version__:
        yield warning(
            name, f"it is {status['version']}, and this command {__version__}: restart the gateway"
        )


def check_journal(state: GatewayState, settings: GatewaySettings) -> Finding:
    """Check that the journal can be read."""
    name = "journal"
    if state.outbox is not None:
        return ok(name, "it can be read")
    if not (settings.state_dir / "journal.db").exists():
        return skipped(name, "there is none yet; the gateway makes it when it starts")
    if state.is_mute:
        return skipped(name, "the gateway does not tell, and the journal is its own while it runs")
    return problem(name, state.trouble)


def check_outbox(state: GatewayState) -> Iterator[Finding]:
    """Check that no report was given up, and none waits for long."""
    outbox = state.outbox
    if outbox is None:
        yield skipped("outbox", state.trouble)
        return
    if outbox["dead"]:
        yield problem(
            "outbox",
            f"dead letters, which the server has refused: {outbox['dead']}; "
            "`seriesgate outbox list --dead` says why, `seriesgate outbox retry` tries again",
        )
    oldest = state.status["deliveries"]["oldest_pending_at"] if state.status else None
    if oldest is not None and _age(oldest) > _LONG_PENDING:
        minutes = _age(oldest) / 60
        yield warning(
            "outbox",
            f"{outbox['pending']} series wait for the server, the oldest for {minutes:.0f} "
            "minutes: `seriesgate outbox list` says why",
        )
    elif not outbox["dead"]:
        yield ok("outbox", f"no dead letters; {outbox['pending']} series wait for the server")


def check_aside(state: GatewayState) -> Iterator[Finding]:
    """Check that nothing went wrong unexpectedly, as far as the gateway that runs knows."""
    if state.status is None:
        return
    count = state.status["aside"]["count"]
    if count:
        yield problem(
            "put aside",
            f"units of its work in which something unexpected went wrong: {count}; `seriesgate "
            "aside list` says what, `seriesgate aside retry` tries again; please report it",
        )
    else:
        yield ok("put aside", "nothing")


def check_settings_in_use(state: GatewayState, settings: GatewaySettings) -> Iterator[Finding]:
    """Check that the gateway that runs has the quiet period that is set."""
    if state.is_running and state.senders is not None:
        in_use = state.senders["quiet_period"]
        if in_use != settings.quiet_period:
            yield warning(
                "settings",
                f"the gateway that runs has quiet_period = {in_use:g}, and what is set is "
                f"{settings.quiet_period:g}: restart it, or name its settings with --config",
            )


def clock_correction(status: dict[str, Any]) -> float | None:
    """Return by how many seconds the clock was set since the gateway's start; None if hardly."""
    by_clock = (
        datetime.fromisoformat(status["now"]) - datetime.fromisoformat(status["started_at"])
    ).total_seconds()
    correction = by_clock - float(status["uptime_seconds"])
    tolerable = _CORRECTION + _CORRECTION_RATE * float(status["uptime_seconds"])
    return correction if abs(correction) > tolerable else None


def _age(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
