"""Receiving an instance takes no more of Python than was written down."""

from __future__ import annotations

import json

from bench import guard


def recorded():
    return json.loads(guard.RECORD.read_text(encoding="utf-8"))


def test_receiving_path_has_not_grown():
    assert guard.grown(guard.measure(), recorded()) == [], "see `make bench-guard`"


def test_growth_is_noticed():
    before, now = recorded(), recorded()
    size = next(iter(now))
    now[size]["calls"] *= 1.06
    (line,) = guard.grown(now, before)
    assert line.startswith(f"{size}: {now[size]['calls']:g} calls an instance")
    now[size]["calls"] /= 1.03
    assert guard.grown(now, before) == []
