"""What is to be said of senders: who breaks off, who is refused, what quiet period suits them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seriesgate.gateway.associations import AssociationRefusal
from seriesgate.series.quiet_period import CHOICES, ENOUGH_SERIES, Advice
from seriesgate.wiring.doctor.finding import Finding, ok, skipped, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seriesgate.wiring.doctor.gateway_state import GatewayState

# Who breaks off more of its associations than this part of them, and so many, is named.
_MANY, _SEVERAL = 0.1, 3
_MOST_NAMED = 3
# Ends that are no fault of the sender or the network.
_ORDERLY = frozenset({"released", "stopping"})


def check_senders(state: GatewayState) -> Iterator[Finding]:
    """Tell of senders whose associations or instances fail, and of those that were turned away."""
    name = "senders"
    if state.senders is None:
        yield skipped(name, state.trouble)
        return
    senders = state.senders["senders"]
    troubled = [text for sender in senders for text in _troubles(sender)]
    for text in troubled[:_MOST_NAMED]:
        yield warning(name, text)
    refused = state.status["associations"]["refused_peers"] if state.status else []
    if refused:
        yield warning(name, f"turned away: {len(refused)}; see below, and the runbook")
    for host in _over_their_share(refused)[:_MOST_NAMED]:
        yield warning(
            name,
            f"{host} wanted more than its share of associations; if it is one of yours, raise "
            "gateway.max_associations_per_host",
        )
    if not troubled and not refused:
        yield ok(name, f"{len(senders)} are known" if senders else "none has come yet")


def check_quiet_period(state: GatewayState) -> Finding:
    """Tell whether the quiet period suits the senders."""
    name = "quiet period"
    if state.senders is None:
        return skipped(name, state.trouble)
    present = state.senders["quiet_period"]
    advice = Advice(state.senders["recommendation"]["advice"])
    recommended = state.senders["recommendation"]["quiet_period"]
    match advice:
        case Advice.TOO_FEW:
            return ok(
                name,
                f"{present:g} s; no sender has sent the {ENOUGH_SERIES} series that tell if it "
                "suits",
            )
        case Advice.KEEP:
            return ok(name, f"{present:g} s suits the senders")
        case Advice.SHORTER:
            return ok(
                name,
                f"{present:g} s; with gateway.quiet_period = {recommended:g} as few series would "
                "be late, and all would be registered sooner",
            )
        case Advice.LONGER:
            return warning(
                name,
                f"{present:g} s; set gateway.quiet_period = {recommended:g}, and fewer series are "
                "late: see below",
            )
        case Advice.NO_USE:
            return ok(
                name,
                f"{present:g} s; series are late, and would be with any up to {CHOICES[-1]:g} s: a "
                "sender goes on much later",
            )


def _over_their_share(refused_peers: list[dict[str, Any]]) -> list[str]:
    """Return the hosts that were turned away though there may have been room for others."""
    share = AssociationRefusal.TOO_MANY_OF_HOST.value
    return [*dict.fromkeys(peer["host"] for peer in refused_peers if peer["reason"] == share)]


def _troubles(sender: dict[str, Any]) -> Iterator[str]:
    who = f"{sender['calling_ae_title']} at {sender['host']}"
    ends = sender["ended"]
    broken = sum(count for how, count in ends.items() if how not in _ORDERLY)
    if broken >= _SEVERAL and broken > _MANY * sum(ends.values()):
        yield f"{who}: {broken} of {sum(ends.values())} associations broke off: see below"
    failed = sum(sender["store_statuses"].values())
    if failed:
        statuses = ", ".join(sorted(sender["store_statuses"]))
        yield (
            f"{who}: {failed} instances were not answered with Success ({statuses}): see the "
            "runbook"
        )
