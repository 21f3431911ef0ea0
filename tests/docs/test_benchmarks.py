"""The page of benchmarks says what was measured, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.chart import chart
from bench.report import render
from bench.results import Results

FOLDER = Path(__file__).parents[2] / "docs" / "explanation"


@pytest.fixture(scope="module")
def results() -> Results:
    return Results.load(FOLDER / "benchmarks.json")


def test_the_page_is_made_from_the_samples(results: Results) -> None:
    assert (FOLDER / "benchmarks.md").read_text(encoding="utf-8") == render(results)


def test_the_chart_is_made_from_the_samples(results: Results) -> None:
    assert (FOLDER / "benchmarks.svg").read_text(encoding="utf-8") == chart(results)


def test_the_samples_are_those_of_a_whole_run(results: Results) -> None:
    assert not results.quick
    assert results.rounds >= 5
    assert {"latency idle p99 ms", "memory after delivery MB", "restart s", "server series/s"} <= (
        results.figures.keys()
    )
