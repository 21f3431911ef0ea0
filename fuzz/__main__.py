"""`python -m fuzz TARGET [libFuzzer options]`, for example `-max_total_time=60`.

Each run begins with the seeds of `fuzz.seeds` and keeps what it finds interesting in
`fuzz/corpus/TARGET`; an input that breaks a rule is written to the working folder by libFuzzer.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["seriesgate"]):
    from fuzz.seeds import SEEDS
    from fuzz.targets import TARGETS


def main() -> None:
    """Fuzz the target named by the first argument."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in TARGETS:
        sys.exit(f"usage: python -m fuzz {{{','.join(TARGETS)}}} [libFuzzer options]")
    corpus = Path(__file__).parent / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = ["-rss_limit_mb=1024", "-timeout=10", "-max_len=65536", *sys.argv[2:]]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
