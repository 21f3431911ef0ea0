"""What is sent to which receivers, and from where."""

from __future__ import annotations

from dataclasses import dataclass

from bench.peers import (
    DURABLE_FLOOR,
    FLOOR,
    ORTHANC,
    POWER,
    PROCESS,
    PYNETDICOM,
    STORESCP,
    TUNED_STORESCP,
    Receiver,
)

LOOPBACK_RECEIVERS: tuple[Receiver, ...] = (
    PROCESS,
    STORESCP,
    POWER,
    ORTHANC,
    FLOOR,
    DURABLE_FLOOR,
    TUNED_STORESCP,
    PYNETDICOM,
)
NETWORK_RECEIVERS: tuple[Receiver, ...] = (PROCESS, STORESCP, POWER, ORTHANC, FLOOR, PYNETDICOM)
PACS_RECEIVERS: tuple[Receiver, ...] = (PROCESS, PYNETDICOM, POWER, FLOOR, DURABLE_FLOOR)

MTUS = (1500, 9000)
NETWORK_SIZES = (2, 10, 34, 64, 133, 512)


@dataclass(frozen=True)
class Workload:
    """One thing that a sender does. `name` identifies it in the results.

    `instances` go on each of `associations`; each has `kilobytes` KB. `no_delay`: TCP_NODELAY=1 is
    in the environment of the sender and of the receiver. With Nagle's algorithm, receivers that may
    stall get one instance in `stalled_share`.
    """

    name: str
    kilobytes: int
    instances: int
    associations: int = 1
    no_delay: bool = False
    stalled_share: int = 4

    def instances_for(self, receiver: Receiver) -> int:
        """Return how many instances go to `receiver` on each association."""
        if receiver.stalls and not self.no_delay:
            return max(1, self.instances // self.stalled_share)
        return self.instances


DEFAULT_SMALL = Workload("default-10", 10, 2000, stalled_share=20)
DEFAULT_LARGE = Workload("default-512", 512, 200)
NO_DELAY_SMALL = Workload("no-delay-10", 10, 2000, no_delay=True)
NO_DELAY_LARGE = Workload("no-delay-512", 512, 500, no_delay=True)
FIVE_SMALL = Workload("five-10", 10, 400, associations=5, no_delay=True)
FIVE_LARGE = Workload("five-512", 512, 100, associations=5, no_delay=True)
PACS = Workload("pacs", 10, 400, stalled_share=1)

LOOPBACK_WORKLOADS = (
    DEFAULT_SMALL,
    DEFAULT_LARGE,
    NO_DELAY_SMALL,
    NO_DELAY_LARGE,
    FIVE_SMALL,
    FIVE_LARGE,
)


def network_workload(mtu: int, kilobytes: int) -> Workload:
    """Return the workload of one size on a network with this MTU."""
    instances = 400 if kilobytes <= 64 else 200 if kilobytes <= 133 else 100
    return Workload(f"mtu-{mtu}-{kilobytes}", kilobytes, instances)
