"""The page of benchmarks says what was measured, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench import million_page
from bench.chart import chart
from bench.report import render
from bench.results import Results

FOLDER = Path(__file__).parents[2] / "docs" / "explanation"


@pytest.fixture(scope="module")
def results() -> Results:
    return Results.load(FOLDER / "benchmarks.json")


def test_the_page_is_made_from_the_samples(results: Results) -> None:
    assert (FOLDER / "benchmarks.md").read_text(encoding="utf-8") == render(results)


def test_the_page_of_a_million_series_is_made_from_its_figures() -> None:
    figures = json.loads((FOLDER / "million-series.json").read_text(encoding="utf-8"))
    page = (FOLDER / "million-series.md").read_text(encoding="utf-8")
    assert page == million_page.render(figures)
    assert figures["databases"].keys() == {"SQLite", "PostgreSQL"}
    for found in figures["databases"].values():
        assert found["series"] == 1_000_000


def test_the_chart_is_made_from_the_samples(results: Results) -> None:
    assert (FOLDER / "benchmarks.svg").read_text(encoding="utf-8") == chart(results)


def test_the_samples_are_those_of_a_whole_run(results: Results) -> None:
    assert not results.quick
    assert results.rounds >= 5
    assert {"latency idle p99 ms", "memory after delivery MB", "restart s", "server series/s"} <= (
        results.figures.keys()
    )
