"""The names of the spool. They are hashes: nothing that came over the network is in a path."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seriesgate.series.model import InstanceCopy


@lru_cache(maxsize=256)
def folder_name(series_instance_uid: str) -> str:
    """Return the name of the folder of a series."""
    return _hash(series_instance_uid.encode())


def file_name(copy: InstanceCopy) -> str:
    """Return the name of the file of a copy of an instance."""
    return _hash(b"%b\n%b" % (copy.sop_instance_uid.encode(), copy.digest)) + ".dcm"


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
