"""The heartbeat: how a gateway stands, which it tells the server every few seconds.

Like the report, it is a contract of the two programs. Nothing in it is of a patient, and everything
in it is bounded.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

MOST_DEAD_LETTERS = 50
LONGEST_TEXT = 512

_LINE = r"^[^\x00-\x1f\x7f-\x9f]*$"
_Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT, pattern=_LINE)]
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]
_Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
_Rate = Annotated[float, Field(ge=0, le=1e18, allow_inf_nan=False)]

DELIVERY_ID_PATTERN = r"^[A-Za-z0-9._-]{8,128}$"
GATEWAY_NAME_PATTERN = r"^[ -~]{1,64}$"
DeliveryID = Annotated[str, StringConstraints(pattern=DELIVERY_ID_PATTERN)]


class DeadLetterNotice(BaseModel):
    """A delivery that the server has refused for good."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    DeliveryID: DeliveryID
    SeriesInstanceUID: Annotated[
        str, StringConstraints(min_length=1, max_length=128, pattern=_LINE)
    ]
    Reason: _Text
    Since: AwareDatetime


class Heartbeat(BaseModel):
    """How a gateway stands. Totals are since `StartedAt`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    Version: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,64}$")]
    StartedAt: AwareDatetime
    PeriodSeconds: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = Field(
        description="seconds between heartbeats"
    )
    NotReady: Annotated[tuple[_Text, ...], Field(max_length=16)] = Field(
        (), description="why it can't do its work now; empty when it can"
    )
    OpenSeries: _Count
    PendingDeliveries: _Count
    DeadLetters: _Count
    DeadLetterList: Annotated[tuple[DeadLetterNotice, ...], Field(max_length=MOST_DEAD_LETTERS)] = (
        Field((), description="the oldest of them")
    )
    SeriesClosed: _Count
    SeriesReopened: _Count = Field(description="those that had been closed before")
    InstancesReceived: _Count
    BytesReceived: _Count
    SeriesPerMinute: _Rate
    InstancesPerMinute: _Rate
    BytesPerMinute: _Rate
    FreeBytes: _Count | None = Field(description="null when the disk does not tell")
    MinFreeBytes: _Count
    RefusedAssociations: Annotated[dict[_Name, _Count], Field(max_length=32)] = Field(
        default_factory=dict, description="how many, by reason"
    )
    QuietPeriod: Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
    Durability: Literal["power", "process"]


class HeartbeatAnswer(BaseModel):
    """What the server has to say to a gateway."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    RetryDeadLetters: Annotated[tuple[DeliveryID, ...], Field(max_length=MOST_DEAD_LETTERS)] = ()
