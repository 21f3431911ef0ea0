"""Two network namespaces joined by a virtual cable: a network on one machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from bench.programs import BenchmarkError, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

# Addresses for documentation and tests (RFC 5737).
_SENDER_ADDRESS = "192.0.2.1"
_RECEIVER_ADDRESS = "192.0.2.2"
_PREFIX_LENGTH = 30


class Ends(NamedTuple):
    """Where the sender and the receiver run."""

    sender: Site
    receiver: Site


LOOPBACK = Ends(Site(), Site())


def check_namespaces() -> None:
    """Raise BenchmarkError when network namespaces can't be made here."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise BenchmarkError(
            "the network part makes network namespaces: run as root with iproute2 installed, "
            "or leave it out with --parts"
        )


@contextmanager
def joined_namespaces(mtu: int) -> Iterator[Ends]:
    """Make the two namespaces; offloads stay as the kernel sets them. Nothing stays behind."""
    sender, receiver = (f"seriesgate-bench-{os.getpid()}-{end}" for end in ("sender", "receiver"))
    with ExitStack() as stack:
        for namespace in (sender, receiver):
            _ip("netns", "add", namespace)
            # The cable goes with its ends.
            stack.callback(_ip, "netns", "del", namespace)
        peer = ("peer", "name", "cable", "netns", receiver)
        _ip("link", "add", "cable", "netns", sender, "type", "veth", *peer)
        for namespace, address in ((sender, _SENDER_ADDRESS), (receiver, _RECEIVER_ADDRESS)):
            _ip("-n", namespace, "link", "set", "cable", "mtu", str(mtu))
            _ip("-n", namespace, "address", "add", f"{address}/{_PREFIX_LENGTH}", "dev", "cable")
            for device in ("lo", "cable"):
                _ip("-n", namespace, "link", "set", device, "up")
        yield Ends(Site(_SENDER_ADDRESS, sender), Site(_RECEIVER_ADDRESS, receiver))


def _ip(*arguments: str) -> None:
    done = subprocess.run(
        ["ip", *arguments], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip()
        raise BenchmarkError(f"ip {' '.join(arguments)}: {reason}")
