"""Unit tests need no network: one that opens a connection fails, and belongs elsewhere."""

from __future__ import annotations

import socket

import pytest
from hypothesis import settings

# `make unit` tries fewer examples, for an answer while one still thinks of the change.
settings.register_profile("quick", max_examples=20, deadline=None)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bind", "connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _refuse)


def _refuse(*_: object) -> None:
    pytest.fail("a unit test opens a connection: it belongs into tests/integration")
