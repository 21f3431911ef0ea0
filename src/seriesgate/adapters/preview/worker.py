"""The process that makes pictures: `python -m seriesgate.adapters.preview.worker`.

It reads paths from its standard input and answers on its standard output (see `worker_process`).
It gives way to every other process, and the system bounds its memory and what it may write.
"""

from __future__ import annotations

import os
import resource
import sys

from seriesgate.adapters.preview.picture import picture_of
from seriesgate.adapters.preview.pixel_frame import NoPicture

#: Address space in bytes: libraries take half of it before the first picture.
MAX_MEMORY = 2 * 2**30


def main() -> None:
    """Make pictures until standard input ends."""
    os.nice(19)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = sys.stdout.buffer
    for line in sys.stdin.buffer:
        try:
            state, content = 1, picture_of(os.fsdecode(line.rstrip(b"\n")))
        except NoPicture as error:
            state, content = 0, str(error).encode("ascii", "replace")
        answers.write(bytes([state]) + len(content).to_bytes(4) + content)
        answers.flush()


if __name__ == "__main__":
    main()
