"""The pure modules of the dashboard, asked in the browser that runs them."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def ask(chromium, hospital):
    """Calls a function of a module with arguments."""
    context = chromium.new_context(locale="en-GB", timezone_id="Europe/Berlin")
    page = context.new_page()
    page.goto(hospital.url)

    def call(module, function, *arguments):
        return page.evaluate(
            """async ([module, name, given]) =>
                (await import(`/dashboard/${module}.js`))[name](...given)""",
            [module, function, arguments],
        )

    yield call
    context.close()


@pytest.mark.parametrize(
    ("function", "argument", "shown"),
    [
        ("count", 1234567, "1,234,567"),
        ("bytes", 0, "0 B"),
        ("bytes", 999, "999 B"),
        ("bytes", 1536, "1.5 kB"),
        ("bytes", 123456789, "123 MB"),
        ("bytes", 2.5e18, "2500 PB"),
        ("duration", 0.0124, "12 ms"),
        ("duration", 1.001, "1.00 s"),
        ("duration", 59.9, "59.9 s"),
        ("duration", 60, "1 min"),
        ("duration", 3661, "1 h 1 min"),
        ("duration", 90000, "1 d 1 h"),
        ("dicomDate", "20260131", "2026-01-31"),
        ("dicomDate", "2026.01.31", "2026-01-31"),
        ("dicomDate", "last week", "last week"),
        ("runsAsText", [9, 1, 2, 3, 3, -1], "-1, 1–3, 9"),
        ("runsAsText", [], ""),
    ],
)
def test_format(ask, function, argument, shown):
    assert ask("shared/format", function, argument) == shown


@pytest.mark.parametrize(
    ("count", "noun", "shown"),
    [
        (1, "series", "1 series"),
        (2, "series", "2 series"),
        (1, "day", "1 day"),
        (2, "day", "2 days"),
        (2, "body", "2 bodies"),
    ],
)
def test_counted(ask, count, noun, shown):
    assert ask("shared/format", "counted", count, noun) == shown


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("DOE^JANE", ["DOE, JANE"]),
        (
            "Adams^John Robert Quincy^^Rev.^B.A. M.Div.",
            ["Adams, Rev. John Robert Quincy, B.A. M.Div."],
        ),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", ["Yamada, Tarou", "山田 太郎", "やまだ たろう"]),
        ("=山田^太郎", ["山田 太郎"]),
        ("DOE=DOE", ["DOE"]),
        ("^^^^", []),
        ("", []),
    ],
)
def test_person_names(ask, value, names):
    assert ask("shared/person-name", "personNames", value) == names


@pytest.mark.parametrize(
    ("most", "ticks"),
    [(0, [0, 1]), (1, [0, 0.5, 1]), (7, [0, 2, 4, 6, 8]), (2900, [0, 1000, 2000, 3000])],
)
def test_ticks(ask, most, ticks):
    assert ask("charts/scale", "ticks", most) == ticks


@pytest.mark.parametrize(
    ("missing", "instances", "span"),
    [([2], 2, [1, 3]), ([17, 23], 10, [1, 24]), ([0, 1], 3, [-1, 3]), ([5], 100, [1, 101])],
)
def test_span_of_instance_numbers(ask, missing, instances, span):
    assert ask("series/instance-strip", "span", missing, instances) == span


@pytest.mark.parametrize(
    ("text", "direction"),
    [("DOE^JANE", "ltr"), ("17 קבאני", "rtl"), ("سلمى=DOE", "rtl"), ("山田", "ltr"), ("", "ltr")],
)
def test_direction_of_a_text(ask, text, direction):
    assert ask("shared/element", "direction", text) == direction


WELL = {"IsQuiet": False, "NotReady": [], "DeadLetters": 0}
QUIET = WELL | {"IsQuiet": True, "NotReady": ["no room"]}
NOT_READY = WELL | {"NotReady": ["no room"]}
DEAD = WELL | {"DeadLetters": 2}


@pytest.mark.parametrize(
    ("gateways", "verdict"),
    [
        ([], None),
        ([WELL, WELL], {"kind": "good", "text": "All is well"}),
        ([WELL, DEAD], {"kind": "warn", "text": "2 dead letters"}),
        ([DEAD, NOT_READY], {"kind": "bad", "text": "1 gateway not ready, 2 dead letters"}),
        ([QUIET, WELL, QUIET], {"kind": "bad", "text": "2 gateways quiet"}),
    ],
)
def test_verdict_on_all_gateways(ask, gateways, verdict):
    assert ask("shared/gateway-health", "verdict", gateways) == verdict


def test_address_and_back(ask):
    link = ask("shared/address", "link", ["series", "a/b ü%"])
    assert link == "#/series/a%2Fb%20%C3%BC%25"
    assert ask("shared/address", "parseAddress", link)["path"] == ["series", "a/b ü%"]
    assert ask("shared/address", "parseAddress", "#/x/%zz")["path"] == ["x", "%zz"]
    assert ask("shared/address", "parseAddress", "")["path"] == []
