"""The Storage service of one association (PS3.4 Annex B): events in, responses out.

Between the upper layer, which knows nothing of series, and the receiver, which knows nothing of
DIMSE.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

from seriesgate.containment import failure_of
from seriesgate.gateway.intake import RefusalReason, Refused, Stored
from seriesgate.gateway.ports import StoreRequest
from seriesgate.upper_layer.dimse import StoreStatus
from seriesgate.upper_layer.events import (
    DataSetEnded,
    DataSetFragment,
    StoreInterrupted,
    StoreRequested,
    StoreResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from seriesgate.gateway.intake import InstanceReceiver, InstanceReception
    from seriesgate.gateway.senders import Peer
    from seriesgate.upper_layer.acceptor import AcceptorConnection

_log = logging.getLogger(__name__)

_STATUS = {
    RefusalReason.OUT_OF_RESOURCES: StoreStatus.OUT_OF_RESOURCES,
    RefusalReason.CANNOT_UNDERSTAND: StoreStatus.CANNOT_UNDERSTAND,
}
# Bound once: on Python 3.11 a member looked up in its Enum costs ten times as much as a global.
_SUCCESS = StoreStatus.SUCCESS
_MAX_COMMENT = 64

StoreEvent = StoreRequested | DataSetFragment | DataSetEnded | StoreInterrupted


class StoreService:
    """Gives each instance to `receiver` and its outcome to `acceptor`, and counts the outcomes.

    `not_success` is told of every response with another status than Success.
    """

    def __init__(
        self,
        receiver: InstanceReceiver,
        acceptor: AcceptorConnection,
        not_success: Callable[[int], None],
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self._receiver = receiver
        self._acceptor = acceptor
        self._not_success = not_success
        self._reception: InstanceReception | None = None
        # The one whose response is given to the acceptor, and not known to be sent.
        self._responded: InstanceReception | None = None

    @property
    def is_busy(self) -> bool:
        """Whether an instance is under way."""
        return self._reception is not None

    def handle(self, event: StoreEvent, peer: Peer) -> None:
        """Take the next event of a store. A mistake of ours costs one instance, not the peer."""
        try:
            match event:
                case DataSetFragment(data):
                    if self._reception is not None:
                        self._reception.write(data)
                case DataSetEnded():
                    if self._reception is not None:
                        self._answer(self._reception)
                case StoreRequested():
                    self._reception = self._receiver.begin(
                        StoreRequest(
                            calling_ae_title=peer.calling_ae_title,
                            transfer_syntax_uid=event.transfer_syntax_uid,
                            sop_class_uid=event.abstract_syntax,
                            sop_instance_uid=event.request.affected_sop_instance_uid,
                            calling_host=peer.host,
                        )
                    )
                case StoreInterrupted():
                    self.abandon()
        except Exception as error:  # noqa: BLE001 - whatever it is, the peer is told and served on
            log_internal_error(error)
            self.abandon()
            self._respond("failed", StoreStatus.PROCESSING_FAILURE, "Internal error")

    def answered(self) -> None:
        """Say that the last response has been sent, or can't be: what was stored is counted now."""
        if self._responded is not None:
            self._responded.answered()
            self._responded = None

    def abandon(self) -> None:
        """Forget the instance under way, if there is one."""
        reception, self._reception = self._reception, None
        if reception is not None:
            self.outcomes["incomplete"] += 1
            reception.abandon()

    def _answer(self, reception: InstanceReception) -> None:
        outcome = reception.finish()
        self._reception, self._responded = None, reception
        match outcome:
            case Stored(matches_request=True):
                self._respond("stored", _SUCCESS)
            case Stored():
                comment = "Stored; command and data set differ"
                self._respond("stored", StoreStatus.DATA_SET_MISMATCH_WARNING, comment)
            case Refused(reason, comment):
                self._respond("refused", _STATUS[reason], comment)

    def _respond(self, outcome: str, status: StoreStatus, comment: str | None = None) -> None:
        self.outcomes[outcome] += 1
        if status is not _SUCCESS:
            self._not_success(status)
        if comment is not None:
            # LO of the default repertoire (PS3.7 C.3): no backslash, at most 64 characters.
            comment = printable(comment).replace("\\", "/")[:_MAX_COMMENT]
        self._acceptor.send(StoreResponse(status, comment), time.monotonic())


def printable(text: str) -> str:
    """Return a text with all but printable ASCII replaced: fit for reports, logs and responses."""
    return "".join(character if " " <= character <= "~" else "?" for character in text)


def log_internal_error(error: Exception) -> None:
    """Log what was raised unexpectedly, and where."""
    _log.error("internal error: %s", failure_of(error))
