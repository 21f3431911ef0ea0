"""What the answer to a delivery means for the next attempt."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriesgate.series.delivery import FailureKind
from seriesgate.series.http_answer import NoAnswer, answer_in, failure_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
K = FailureKind


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_success(status):
    assert failure_of(status, "", NOW) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, K.TRANSIENT) for status in (408, 425, 429, 500, 502, 503, 504, 599, 199, 600)),
        *((status, K.MISCONFIGURED) for status in (301, 302, 304, 307, 401, 403, 404, 405, 501)),
        *((status, K.REJECTED) for status in (400, 409, 410, 413, 415, 422, 499)),
    ],
)
def test_failures(status, kind):
    failure = failure_of(status, "", NOW)
    assert failure
    assert failure.kind is kind
    assert str(status) in failure.reason


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("9" * 9, 999999999.0),
        # What is absurd is ignored.
        ("9" * 400, None),
        ("9" * 5000, None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999", None),
        (f"Thu, 01 Jan 2026 00:01:00 GMT{' ' * 90}", None),
        ("Thu, 01 Jan 2026 00:01:00", 60.0),
        (format_datetime(datetime(2026, 1, 1, 0, 1, tzinfo=UTC), usegmt=True), 60.0),
        (format_datetime(datetime(2025, 1, 1, tzinfo=UTC), usegmt=True), 0.0),
        ("soon", None),
        ("-1", None),
        ("\u0663", None),
        ("", None),
    ],
)
def test_retry_after(value, seconds):
    failure = failure_of(503, value, NOW)
    assert failure
    assert failure.retry_after == seconds


@given(st.text(max_size=80))
def test_any_text_is_a_retry_after_or_none(value):
    failure = failure_of(503, value, NOW)
    assert failure
    assert failure.retry_after is None or failure.retry_after >= 0.0


@given(st.binary(max_size=80))
def test_any_body_is_an_answer_or_none(body):
    with suppress(NoAnswer):
        answer_in(body)
