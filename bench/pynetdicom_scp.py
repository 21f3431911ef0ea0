"""A Storage SCP made with pynetdicom, as its documentation advises for speed.

The maximum PDU length is unlimited, nothing is logged, and the data set goes to its file as the
bytes that came, without being decoded.

    python -m bench.pynetdicom_scp HOST PORT FOLDER
"""

from __future__ import annotations

import itertools
import sys
from functools import partial
from pathlib import Path

from pynetdicom import AE, AllStoragePresentationContexts, _config, evt

_SUCCESS = 0x0000
_numbers = itertools.count()


def store(folder: Path, event: evt.Event) -> int:
    """Write one instance as a Part 10 file."""
    (folder / f"{next(_numbers)}.dcm").write_bytes(event.encoded_dataset())
    return _SUCCESS


def main() -> None:
    host, port, folder = sys.argv[1:]
    _config.LOG_HANDLER_LEVEL = "none"
    entity = AE(ae_title="STORESCP")
    entity.maximum_pdu_size = 0
    entity.supported_contexts = AllStoragePresentationContexts
    on_store = partial(store, Path(folder))
    entity.start_server((host, int(port)), evt_handlers=[(evt.EVT_C_STORE, on_store)])


if __name__ == "__main__":
    main()
