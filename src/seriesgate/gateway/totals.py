"""What the gateway has done since it started, in numbers; for metrics and `seriesgate status`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class GatewayTotals:
    """Running totals. Each is written by one owner only, which guards it if it has threads."""

    #: Instances that were new, came again with the same content, or were refused, and why.
    instances_stored: int = 0
    instances_repeated: int = 0
    instances_out_of_resources: int = 0
    instances_not_understood: int = 0
    #: Bytes of the data sets that were stored or came again.
    bytes_received: int = 0
    #: Closings that made a revision, and those among them that followed an earlier one.
    series_closed: int = 0
    series_reopened: int = 0
    #: Closings that brought nothing new.
    series_repeated: int = 0
    #: Copies of instances that contradict another copy, and those that were found damaged.
    instances_conflicting: int = 0
    instances_damaged: int = 0
    #: Attempts to deliver that failed.
    deliveries_failed: int = 0
