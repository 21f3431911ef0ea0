"""Writes every page of docs/reference that is made from the code: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from docs.generators import (  # noqa: E402 - needs the path above
    cli_reference,
    conformance_statement,
    fault_reference,
    floors,
    http_api_reference,
    metrics_reference,
    settings_reference,
    upper_layer_states,
)

REFERENCE = ROOT / "docs" / "reference"
_GENERATORS = (
    cli_reference,
    conformance_statement,
    fault_reference,
    floors,
    http_api_reference,
    metrics_reference,
    settings_reference,
    upper_layer_states,
)


def pages() -> dict[Path, str]:
    """Return the text of each generated page."""
    return {REFERENCE / generator.PAGE: generator.render() for generator in _GENERATORS}


if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
