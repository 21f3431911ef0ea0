"""What the answer to a delivery means for the next attempt."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from seriesgate.series.delivery import FailureKind
from seriesgate.series.http_answer import failure_of

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
        ("9" * 400, 999999999.0),
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
