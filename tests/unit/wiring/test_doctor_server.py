"""What the doctor makes of a server's answers."""

from __future__ import annotations

import pytest

from seriesgate.wiring.doctor.certificate import judge_days
from seriesgate.wiring.doctor.server import Answer, ServerAnswers, check_server

WELL = Answer(200, {"status": "ok"}, 0.0)
ALLOWED = Answer(200, {"name": "gateway", "scopes": ["register"]}, 0.0)


def verdicts(health=WELL, session=ALLOWED, readiness=WELL):
    answers = ServerAnswers("http://server", health, session, readiness)
    return {
        finding.check: (finding.verdict.value, finding.text) for finding in check_server(answers)
    }


def test_server_that_is_well_is_so():
    found = verdicts()
    assert {check: verdict for check, (verdict, _) in found.items()} == {
        "server": "ok",
        "server token": "ok",
    }


@pytest.mark.parametrize(
    ("answers", "verdict", "text"),
    [
        ({"health": Answer(failure="nothing answers at http://server")}, "problem", "server_url"),
        ({"health": Answer(308)}, "problem", "leads elsewhere"),
        ({"health": Answer(404, {"detail": "Not Found"})}, "warning", "no server of seriesgate"),
        ({"health": Answer(200)}, "warning", "no server of seriesgate"),
        ({"health": Answer(200, is_page=True)}, "problem", "in the server's place"),
        ({"readiness": Answer(503, {})}, "problem", "database"),
        ({"readiness": Answer(failure="no answer")}, "problem", "log"),
    ],
)
def test_server_that_is_not_well_is_named_with_what_to_do(answers, verdict, text):
    found = verdicts(**answers)["server"]
    assert found[0] == verdict
    assert text in found[1]


@pytest.mark.parametrize(
    ("session", "verdict", "text"),
    [
        (Answer(401, {}), "problem", "does not know it"),
        (Answer(429, {}), "warning", "too many wrong"),
        (Answer(200, {"name": "r", "scopes": ["read"]}), "problem", "allows read, and not"),
        (Answer(200, {"name": "r", "scopes": []}), "problem", "register"),
        (Answer(200, {"name": "a", "scopes": ["admin"]}), "ok", "register"),
        (Answer(200, {"name": None, "scopes": ["register", "admin"]}), "ok", "needs none"),
        (Answer(200, {"scopes": "register"}), "problem", "can't be tried"),
        (Answer(200), "problem", "can't be tried"),
        (Answer(500, {}), "problem", "answered 500"),
        (Answer(failure="it does not answer"), "problem", "does not answer"),
    ],
)
def test_token_is_judged_by_what_it_allows(session, verdict, text):
    found = verdicts(session=session)["server token"]
    assert found[0] == verdict
    assert text in found[1]


@pytest.mark.parametrize("health", [Answer(failure="nothing answers"), Answer(404, {})])
def test_token_is_not_judged_where_nobody_knows_it(health):
    assert verdicts(health=health)["server token"][0] == "skipped"


def test_certificate_that_is_not_trusted_is_a_problem_of_its_own():
    health = Answer(failure="it is not trusted", certificate_failure="certificate has expired")
    found = verdicts(health=health)["server certificate"]
    assert found[0] == "problem"
    assert "certificate has expired" in found[1]


@pytest.mark.parametrize(
    ("days", "verdict"), [(-0.1, "problem"), (0.5, "warning"), (20.9, "warning"), (21.0, "ok")]
)
def test_certificate_is_to_be_renewed_in_time(days, verdict):
    assert judge_days("certificate", "it", days).verdict == verdict
    health = Answer(200, {"status": "ok"}, 0.0, days)
    assert verdicts(health=health)["server certificate"][0] == verdict
