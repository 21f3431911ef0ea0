from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.examples import report

from seriesgate.series.delivery import (
    FailureKind,
    GiveUp,
    PublishFailure,
    RetryIn,
    RetryPolicy,
    delivery_id_of,
)

POLICY = RetryPolicy(first_delay=0.5, max_delay=300.0, misconfigured_delay=30.0)
ATTEMPTS = st.integers(1, 10**6)
JITTERS = st.floats(0, 1, exclude_max=True)


def delay(kind: FailureKind, attempt: int, jitter: float = 0.0, retry_after: float | None = None):
    decision = POLICY.after_failure(attempt, PublishFailure(kind, "x", retry_after), jitter)
    assert isinstance(decision, RetryIn)
    return decision.delay


def test_delays_double_up_to_the_cap():
    delays = [delay(FailureKind.TRANSIENT, attempt) for attempt in (1, 2, 3, 10, 11, 12)]
    assert delays == [0.5, 1.0, 2.0, 256.0, 300.0, 300.0]


@given(ATTEMPTS, JITTERS)
def test_jitter_takes_away_at_most_half(attempt, jitter):
    whole = delay(FailureKind.TRANSIENT, attempt)
    assert whole / 2 <= delay(FailureKind.TRANSIENT, attempt, jitter) <= whole


@given(ATTEMPTS, JITTERS, st.floats(0, 10**9))
def test_retry_after_is_never_undercut_below_the_cap(attempt, jitter, retry_after):
    waited = delay(FailureKind.TRANSIENT, attempt, jitter, retry_after)
    assert min(retry_after, POLICY.max_delay) <= waited <= POLICY.max_delay


@given(ATTEMPTS, JITTERS)
def test_misconfiguration_is_retried_slowly_for_ever(attempt, jitter):
    assert delay(FailureKind.MISCONFIGURED, attempt, jitter) >= 15.0


@given(ATTEMPTS, JITTERS)
def test_rejected_report_is_given_up_at_once(attempt, jitter):
    failure = PublishFailure(FailureKind.REJECTED, "x")
    assert POLICY.after_failure(attempt, failure, jitter) == GiveUp()


def test_idempotency_key_is_the_same_for_the_same_content_only():
    assert delivery_id_of(report()) == delivery_id_of(report())
    others = {delivery_id_of(r) for r in (report("9"), report(count=2), report(revision=2))}
    assert len(others | {delivery_id_of(report())}) == 4
