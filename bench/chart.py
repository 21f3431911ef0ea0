"""The picture: time per instance as an SVG that is readable on light and on dark pages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from bench.peers import (
    DURABLE_FLOOR,
    FLOOR,
    ORTHANC,
    POWER,
    PROCESS,
    PYNETDICOM,
    STORESCP,
    TUNED_STORESCP,
)
from bench.targets import number
from bench.workloads import DEFAULT_SMALL, NETWORK_SIZES, PACS, network_workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.results import Results

_WIDTH = 980
_HEIGHT = 500
_ROW = 26
_MTU = 1500
# Per receiver: a style class, and its colour on a light and on a dark page.
_STYLES = {
    POWER.name: ("power", "#0550ae", "#79c0ff"),
    PROCESS.name: ("process", "#218bff", "#388bfd"),
    STORESCP.name: ("storescp", "#cf222e", "#ff7b72"),
    TUNED_STORESCP.name: ("tuned", "#a40e26", "#ffa198"),
    ORTHANC.name: ("orthanc", "#9a6700", "#d29922"),
    PYNETDICOM.name: ("pynetdicom", "#8250df", "#d2a8ff"),
    FLOOR.name: ("floor", "#6e7781", "#8b949e"),
    DURABLE_FLOOR.name: ("durable-floor", "#424a53", "#b1bac4"),
}


@dataclass(frozen=True)
class _LogScale:
    """Maps values to positions, logarithmically."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def decades(self) -> list[float]:
        exponents = range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)
        return [10.0**exponent for exponent in exponents]


def chart(results: Results) -> str:
    """Return the SVG: on loopback to the left, over a network to the right."""
    groups = [
        (title, {name: each.elapsed for name, each in results.summaries(workload.name).items()})
        for title, workload in (
            ("Orthanc sends a series of 10 KB instances", PACS),
            ("storescu, default options, 10 KB, loopback", DEFAULT_SMALL),
        )
    ]
    lines: dict[str, list[tuple[int, float]]] = {}
    for size in NETWORK_SIZES:
        summaries = results.summaries(network_workload(_MTU, size).name)
        for name in _STYLES:
            if name in summaries:
                lines.setdefault(name, []).append((size, summaries[name].elapsed))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        "<title>Milliseconds per instance of the gateway and of other receivers</title>",
        f"<style>{_style()}</style>",
        f'<rect class="page" width="{_WIDTH}" height="{_HEIGHT}"/>',
        *_stems([group for group in groups if group[1]]),
        *_curves(lines),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _style() -> str:
    light = "".join(
        f".{name}{{stroke:{colour};fill:{colour}}}" for name, colour, _ in _STYLES.values()
    )
    dark = "".join(
        f".{name}{{stroke:{colour};fill:{colour}}}" for name, _, colour in _STYLES.values()
    )
    return (
        "text{font:13px system-ui,sans-serif;fill:#1f2328;stroke:none!important}"
        ".title{font-weight:600}.axis{font-size:11px;fill:#59636e}.page{fill:#fff}"
        ".grid{stroke:#d1d9e0}polyline{fill:none!important;stroke-width:2.5}.stem{stroke-width:2}"
        f"{light}@media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}.axis{{fill:#9198a1}}"
        f".page{{fill:#0d1117}}.grid{{stroke:#30363d}}{dark}}}"
    )


def _stems(groups: Sequence[tuple[str, dict[str, float]]]) -> Iterator[str]:
    """Draw a line with a dot for each receiver, one group below the other."""
    if not groups:
        return
    scale = _scale([value for _, values in groups for value in values.values()], 175, 430)
    rows = sum(len(values) + 2 for _, values in groups) - 1
    bottom = 20 + rows * _ROW
    for tick in scale.decades():
        x = scale.at(tick)
        yield f'<line class="grid" x1="{x}" y1="40" x2="{x}" y2="{bottom}"/>'
        yield _text(x, bottom + 16, f"{tick:g}", "axis", "middle")
    yield _text(302, bottom + 34, "ms per instance, logarithmic", "axis", "middle")
    y = 24
    for title, values in groups:
        yield _text(10, y, title, "title")
        for name in sorted(values, key=lambda name: values[name]):
            y += _ROW
            x = scale.at(values[name])
            style = _STYLES[name][0]
            yield _text(165, y + 4, name, "", "end")
            yield f'<line class="stem {style}" x1="175" y1="{y}" x2="{x}" y2="{y}"/>'
            yield f'<circle class="{style}" cx="{x}" cy="{y}" r="5"/>'
            yield _text(x + 10, y + 4, f"{number(values[name])} ms")
        y += 2 * _ROW


def _curves(lines: dict[str, list[tuple[int, float]]]) -> Iterator[str]:
    """Draw time over size, one line for each receiver, each named at its right end."""
    if not lines:
        return
    left, right, top, bottom = 570, 820, 45, 370
    across = _LogScale(NETWORK_SIZES[0], NETWORK_SIZES[-1], left, right)
    upwards = _scale([value for line in lines.values() for _, value in line], bottom, top)
    yield _text(left - 45, 24, f"storescu, default options, network with MTU {_MTU}", "title")
    for tick in upwards.decades():
        y = upwards.at(tick)
        yield f'<line class="grid" x1="{left}" y1="{y}" x2="{right}" y2="{y}"/>'
        yield _text(left - 8, y + 4, f"{tick:g} ms", "axis", "end")
    for size in NETWORK_SIZES:
        yield _text(across.at(size), bottom + 16, str(size), "axis", "middle")
    yield _text((left + right) / 2, bottom + 34, "KB per instance, logarithmic", "axis", "middle")
    label = math.inf
    for name, line in sorted(lines.items(), key=lambda item: item[1][-1][1]):
        style = _STYLES[name][0]
        points = [(across.at(size), upwards.at(value)) for size, value in line]
        path = " ".join(f"{x},{y}" for x, y in points)
        yield f'<polyline class="{style}" points="{path}"/>'
        for x, y in points:
            yield f'<circle class="{style}" cx="{x}" cy="{y}" r="3"/>'
        # Labels go upwards from the fastest, none over another.
        label = min(points[-1][1] + 4, label - 16)
        yield _text(points[-1][0] + 10, label, name, style)


def _scale(values: Sequence[float], start: float, end: float) -> _LogScale:
    """Return a scale from the decade below all values to the one above."""
    low = 10.0 ** math.floor(math.log10(min(values)))
    high = 10.0 ** math.ceil(math.log10(max(values)))
    return _LogScale(low, max(high, 10 * low), start, end)


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'
