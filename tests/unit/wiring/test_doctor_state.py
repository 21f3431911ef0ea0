"""What the doctor makes of what the gateway tells of itself and of its senders."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from seriesgate import __version__
from seriesgate.adapters.admin.senders_json import senders_json
from seriesgate.gateway.senders import SenderStatistics
from seriesgate.settings.gateway import GatewaySettings
from seriesgate.wiring.doctor.gateway_state import (
    GatewayState,
    check_gateway,
    check_outbox,
    check_settings_in_use,
)
from seriesgate.wiring.doctor.senders import check_quiet_period, check_senders

NOW = datetime.now(UTC)


def status(version=__version__, not_ready=(), oldest=None, refused=(), *, adds_up=True):
    pending_at = (
        None if oldest is None else (datetime.now(UTC) - timedelta(seconds=oldest)).isoformat()
    )
    return {
        "version": version,
        "ready": not not_ready,
        "not_ready": list(not_ready),
        "instances": {"adds_up": adds_up},
        "deliveries": {"oldest_pending_at": pending_at},
        "associations": {
            "refused_peers": [
                {"host": f"10.0.0.{number}", "reason": reason}
                for number, reason in enumerate(refused)
            ]
        },
    }


def state(senders=(), dead=0, pending=0, quiet_period=1.0, **of_status):
    return GatewayState(
        status(**of_status),
        {"dead": dead, "pending": pending},
        senders_json(senders, quiet_period),
    )


def sender(**seen):
    made = SenderStatistics("10.0.0.1", "MR1", NOW, NOW)
    for name, value in seen.items():
        getattr(made, name).update(value)
    return made


def said(findings):
    return [(finding.verdict.value, finding.text) for finding in findings]


def test_gateway_that_does_its_work_is_well():
    assert [verdict for verdict, _ in said(check_gateway(state()))] == ["ok"]


@pytest.mark.parametrize(
    ("told", "verdict", "text"),
    [
        (state(not_ready=["the gateway stops"]), "problem", "the gateway stops"),
        (state(adds_up=False), "problem", "does not add up"),
        (GatewayState(trouble="no gateway answers"), "warning", "no gateway answers"),
        (GatewayState(trouble="the gateway answered 401", is_mute=True), "problem", "401"),
    ],
)
def test_gateway_that_does_not_is_not(told, verdict, text):
    (found,) = said(check_gateway(told))
    assert found[0] == verdict
    assert text in found[1]


def test_gateway_of_another_version_is_to_be_restarted():
    found = said(check_gateway(state(version="0.0.1")))
    assert [verdict for verdict, _ in found] == ["ok", "warning"]
    assert "restart" in found[1][1]


def test_gateway_with_another_quiet_period_than_is_set_is_noticed():
    settings = GatewaySettings(quiet_period=2.0)
    assert said(check_settings_in_use(state(quiet_period=2.0), settings)) == []
    (found,) = said(check_settings_in_use(state(quiet_period=1.0), settings))
    assert (found[0], "restart it" in found[1]) == ("warning", True)


@pytest.mark.parametrize(
    ("told", "verdicts"),
    [
        (state, ["ok"]),
        (partial(state, pending=3, oldest=500), ["ok"]),
        (partial(state, pending=3, oldest=700), ["warning"]),
        (partial(state, dead=1), ["problem"]),
        (partial(state, dead=1, pending=3, oldest=700), ["problem", "warning"]),
        (partial(GatewayState, trouble="no journal"), ["skipped"]),
    ],
)
def test_dead_letters_are_a_problem_and_delays_a_warning(told, verdicts):
    # Made here: what is some minutes old when tests are collected may be older by now.
    assert [verdict for verdict, _ in said(check_outbox(told()))] == verdicts


@pytest.mark.parametrize(
    ("seen", "is_named"),
    [
        ({}, False),
        ({"ended": {"released": 100, "stopping": 50}}, False),
        ({"ended": {"released": 2, "aborted_by_peer": 2}}, False),
        ({"ended": {"released": 27, "aborted_by_peer": 3}}, False),
        ({"ended": {"released": 26, "connection_lost": 3}}, True),
        ({"statuses": {"A700": 1}}, True),
    ],
)
def test_senders_that_often_fail_are_named(seen, is_named):
    (found,) = said(check_senders(state([sender(**seen)])))
    assert (found[0] == "warning") is is_named
    assert ("MR1 at 10.0.0.1" in found[1]) is is_named


def test_only_some_of_many_troubles_are_listed():
    senders = [sender(statuses={"A700": 1}) for _ in range(10)]
    assert len(said(check_senders(state(senders)))) == 3


def test_peers_that_were_turned_away_are_counted():
    (found,) = said(check_senders(state(refused=["network", "not_requested"])))
    assert (found[0], "turned away: 2" in found[1]) == ("warning", True)


def test_host_that_wants_more_than_its_share_is_named_with_the_setting():
    refused = ["network", "too_many_of_host", "too_many_associations"]
    turned_away, over_its_share = said(check_senders(state(refused=refused)))
    assert turned_away[0] == over_its_share[0] == "warning"
    assert over_its_share[1].startswith("10.0.0.1 wanted more than its share")
    assert "gateway.max_associations_per_host" in over_its_share[1]


def arrivals(*pauses, series=100, present=1.0):
    made = sender()
    made.series = series
    for pause in pauses:
        made.pauses.add(pause)
        made.late += pause >= present
    return check_quiet_period(state([made], quiet_period=present))


@pytest.mark.parametrize(
    ("finding", "verdict", "text"),
    [
        (arrivals(series=5), "ok", "20 series"),
        (arrivals(), "ok", "suits"),
        (arrivals(present=10.0), "ok", "gateway.quiet_period = 1 "),
        (arrivals(3.0, 3.0, 3.0), "warning", "gateway.quiet_period = 5"),
        (arrivals(*[900.0] * 9), "ok", "much later"),
        (check_quiet_period(GatewayState(trouble="none")), "skipped", "none"),
    ],
)
def test_quiet_period_is_recommended_where_another_suits_better(finding, verdict, text):
    assert finding.verdict == verdict
    assert text in finding.text
