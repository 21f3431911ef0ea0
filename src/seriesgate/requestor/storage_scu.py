"""The Storage SCU: sends many instances over several associations, and echoes.

One queue feeds all the associations, so that none idles while another still has work.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seriesgate.requestor.association_errors import (
    AssociationError,
    AssociationRejectedError,
    InstanceUnreadableError,
)
from seriesgate.requestor.association_negotiation import MAX_CONTEXTS, VERIFICATION
from seriesgate.requestor.association_requestor import AssociationRequestor
from seriesgate.requestor.remote_ae import RemoteAE
from seriesgate.requestor.send_summary import SendSummary, SendTally

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Sequence

    from seriesgate.requestor.outgoing_instance import OutgoingInstance, StorageContext

__all__ = ["RemoteAE", "SendSummary", "echo", "send"]

#: Seconds before each try to open an association again.
RECONNECT_DELAYS = (0.0, 0.5, 2.0)
# An instance on which this many associations broke is what breaks them.
_MAX_BREAKS = 3


def send(
    instances: Iterable[OutgoingInstance],
    destination: RemoteAE,
    *,
    associations: int = 1,
    timeout: float = 30.0,
    reconnect_delays: Sequence[float] = RECONNECT_DELAYS,
    on_progress: Callable[[int], None] | None = None,
) -> SendSummary:
    """Send instances as a modality would, over `associations` associations at once.

    Each association proposes every SOP class in every transfer syntax there is, one presentation
    context for each pair; above 128 pairs (PS3.8 9.3.2.2), one set of associations follows another.
    Data sets go as they are, byte for byte. `timeout` is in seconds, for each wait for the peer.

    When an association breaks, the instance under way is sent again over a fresh one; the third
    time it has failed. When none can be opened, tried after each of `reconnect_delays` (seconds),
    what is left has failed. `on_progress` is called for each settled instance with the bytes
    stored, from the thread of the association. KeyboardInterrupt ends it after the messages under
    way, with a summary.

    Raises AssociationError when the first association cannot be opened: nothing was sent then.
    """
    run = _Run(destination, timeout, reconnect_delays, SendTally(on_progress))
    started = time.perf_counter()
    groups = _by_contexts(instances)
    interrupted = False
    try:
        first = run.open(groups[0][1]) if groups else None
        for queue, contexts in groups:
            run.send_all(queue, contexts, first, associations)
    except KeyboardInterrupt:
        interrupted = True
    return run.tally.summary(
        unsent=sum(len(queue) for queue, _ in groups),
        seconds=time.perf_counter() - started,
        interrupted=interrupted,
    )


def echo(
    destination: RemoteAE, *, timeout: float = 30.0, tls: ssl.SSLContext | None = None
) -> float:
    """Verify the peer with a C-ECHO, over TLS or not, and return its round trip in seconds.

    Raises AssociationError, also when the peer does not offer C-ECHO or answers with a failure.
    """
    association = AssociationRequestor(destination, [VERIFICATION], timeout, tls)
    try:
        if reason := association.refusal(VERIFICATION):
            raise AssociationError(f"{destination.address} does not offer C-ECHO: {reason}")
        started = time.perf_counter()
        status = association.echo()
        seconds = time.perf_counter() - started
    finally:
        association.release()
    if status:
        raise AssociationError(f"{destination.address} answered C-ECHO with {status:04X}")
    return seconds


@dataclass(slots=True)
class _Pending:
    """An instance in the queue, and how many associations broke on it."""

    instance: OutgoingInstance
    breaks: int = 0


class _Run:
    """What the associations of one `send` share: where to, the count, and the wish to stop."""

    def __init__(
        self,
        destination: RemoteAE,
        timeout: float,
        reconnect_delays: Sequence[float],
        tally: SendTally,
    ) -> None:
        self.tally = tally
        self._destination = destination
        self._timeout = timeout
        self._reconnect_delays = reconnect_delays
        self._stop = threading.Event()
        self._last_error = ""

    def open(self, contexts: Sequence[StorageContext]) -> AssociationRequestor:
        return AssociationRequestor(self._destination, contexts, self._timeout)

    def send_all(
        self,
        queue: deque[_Pending],
        contexts: Sequence[StorageContext],
        first: AssociationRequestor | None,
        associations: int,
    ) -> None:
        """Empty the queue over several associations; `first` is used while it is open."""
        count = min(associations, len(queue))
        with ThreadPoolExecutor(count, thread_name_prefix="association") as threads:
            try:
                workers = [threads.submit(self._work, queue, contexts, first)]
                workers += [
                    threads.submit(self._work, queue, contexts, None) for _ in range(1, count)
                ]
                for worker in workers:
                    worker.result()
            except BaseException:
                self._stop.set()
                raise
        if queue:
            self.tally.failed(self._last_error, len(queue))
            queue.clear()

    def _work(
        self,
        queue: deque[_Pending],
        contexts: Sequence[StorageContext],
        association: AssociationRequestor | None,
    ) -> None:
        """Send from the queue until it is empty, the peer is gone or the run is to stop."""
        while queue and not self._stop.is_set():
            if association is None or not association.is_open:
                association = self._open_again(contexts)
                if association is None:
                    return
            try:
                pending = queue.popleft()
            except IndexError:  # another association took the last one
                break
            self._store(association, pending, queue)
        if association:
            association.release()

    def _open_again(self, contexts: Sequence[StorageContext]) -> AssociationRequestor | None:
        for delay in self._reconnect_delays:
            if self._stop.wait(delay):
                return None
            try:
                return self.open(contexts)
            except AssociationError as error:
                self._last_error = str(error)
                if isinstance(error, AssociationRejectedError) and not error.is_transient:
                    return None
        return None

    def _store(
        self, association: AssociationRequestor, pending: _Pending, queue: deque[_Pending]
    ) -> None:
        instance = pending.instance
        if reason := association.refusal(instance.context):
            self.tally.context_refused(str(instance), instance.context, reason)
            return
        try:
            answer = association.store(instance)
        except InstanceUnreadableError as error:
            self.tally.failed(f"cannot read {instance}: {error}")
        except AssociationError as error:
            pending.breaks += 1
            if pending.breaks < _MAX_BREAKS:
                queue.appendleft(pending)
            else:
                self.tally.failed(str(error), instance=str(instance))
        else:
            self.tally.answered(str(instance), answer.status, answer.size, answer.comment)


def _by_contexts(
    instances: Iterable[OutgoingInstance],
) -> list[tuple[deque[_Pending], list[StorageContext]]]:
    """Return the instances in groups of at most 128 presentation contexts, each in its order."""
    positions: dict[StorageContext, int] = {}
    groups: list[tuple[deque[_Pending], list[StorageContext]]] = []
    for instance in instances:
        context = instance.context
        if context not in positions:
            if len(positions) % MAX_CONTEXTS == 0:
                groups.append((deque(), []))
            positions[context] = len(positions)
            groups[-1][1].append(context)
        queue, _ = groups[positions[context] // MAX_CONTEXTS]
        queue.append(_Pending(instance))
    return groups
