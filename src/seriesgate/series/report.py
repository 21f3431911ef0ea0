"""The report of one series: the JSON that the gateway posts and the server takes.

It is the whole contract between the two programs. Five fields are required, so that a client of ten
lines is a full citizen; the rest is what our gateway knows besides. Field names are DICOM keywords
(PS3.6) where DICOM has one.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)


def _without_spaces(value: Any) -> Any:
    return value.strip(" ") if isinstance(value, str) else value


# Every character but the C0 and C1 control characters, which a database or a terminal may choke on.
_TEXT = r"^[^\x00-\x1f\x7f-\x9f]*$"
# PS3.5 limits a UID to 64 digits and dots, LO to 64 characters and PN to 3 x 64. Real data is
# beyond all of it; we bound what a peer can make us keep and refuse nothing that a scanner really
# sends. Spaces at the ends of a UID mean nothing.
_Uid = Annotated[
    str,
    BeforeValidator(_without_spaces),
    StringConstraints(min_length=1, max_length=128, pattern=_TEXT),
]
_Text = Annotated[str, StringConstraints(max_length=1024, pattern=_TEXT)]
_Keyword = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z]+$")]
_InstanceNumber = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]  # PS3.5 6.2, IS
_Count = Annotated[int, Field(ge=0, le=2**63 - 1)]


def _integer_as_text(value: Any) -> Any:
    """Take the integer that simple clients send as PatientID; in DICOM it is text (PS3.5 LO)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _integral(value: Any) -> Any:
    """Take 10.0 for 10: in JSON Schema they are the same integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Series(BaseModel):
    """One series, as reported to the server.

    Unknown fields are ignored, so that a newer gateway can talk to an older server.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    SeriesInstanceUID: _Uid = Field(description="(0020,000E)", examples=["1.2.840.113619.2.1"])
    PatientName: _Text = Field(
        description="(0010,0010) as UTF-8 in the form of PS3.5 PN; empty when unknown",
        examples=["Doe^Jane"],
    )
    PatientID: Annotated[_Text, BeforeValidator(_integer_as_text)] = Field(
        description="(0010,0020), text; an integer is accepted and kept as text",
        examples=["A/17"],
    )
    StudyInstanceUID: _Uid = Field(description="(0020,000D)", examples=["1.2.840.113619.2.2"])
    InstancesInSeries: Annotated[
        int, Field(ge=1, le=2**31 - 1, strict=True), BeforeValidator(_integral)
    ] = Field(description="number of distinct SOP Instance UIDs received so far", examples=[176])

    Revision: Annotated[int, Field(ge=1, le=2**31 - 1)] = Field(
        default=1, description="1 for the first closing of the series, one more for each later one"
    )
    AddedInstances: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        default=None, description="instances that are new since the revision before"
    )
    Modality: _Text = Field(default="", description="(0008,0060)", examples=["MR"])
    SeriesNumber: int | None = Field(
        default=None, ge=-(2**31), le=2**31 - 1, description="(0020,0011)"
    )
    SeriesDescription: _Text = Field(default="", description="(0008,103E)")
    BodyPartExamined: _Text = Field(default="", description="(0018,0015)")
    StudyDate: _Text = Field(default="", description="(0008,0020), YYYYMMDD as in DICOM")
    StudyDescription: _Text = Field(default="", description="(0008,1030)")
    AccessionNumber: _Text = Field(default="", description="(0008,0050)")
    Manufacturer: _Text = Field(default="", description="(0008,0070)")
    CallingAETitle: _Text = Field(
        default="", description="AE title that sent the first instance of those that agree"
    )
    Gateway: _Text = Field(default="", description="name of the gateway that sent the report")
    Bytes: _Count | None = Field(default=None, description="size of all its data sets, in bytes")
    FirstInstanceAt: AwareDatetime | None = Field(
        default=None, description="when its first instance was stored"
    )
    LastInstanceAt: AwareDatetime | None = Field(
        default=None, description="when its latest instance was stored"
    )
    ClosedAt: AwareDatetime | None = Field(
        default=None, description="when this revision was closed: the quiet period had passed"
    )
    MissingInstanceNumbers: Annotated[list[_InstanceNumber], Field(max_length=1000)] = Field(
        default_factory=list,
        description="holes between the least and the greatest (0020,0013), at most 1000 of them",
    )
    ConflictingInstances: Annotated[list[_Uid], Field(max_length=1000)] = Field(
        default_factory=list,
        description="SOP Instance UIDs that came more than once with different content",
    )
    InconsistentAttributes: Annotated[list[_Keyword], Field(max_length=16)] = Field(
        default_factory=list,
        description="attributes on which the instances of the series disagree although they must "
        "not: StudyInstanceUID, PatientID",
    )
    InconsistentInstances: Annotated[list[_Uid], Field(max_length=1000)] = Field(
        default_factory=list,
        description="SOP Instance UIDs that name another study or patient than most of the series: "
        "the other attributes are those of an instance that agrees with most",
    )
    InconsistentInstanceCount: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        default=0, description="how many they are; InconsistentInstances names at most 1000"
    )
    DamagedInstances: Annotated[list[_Uid], Field(max_length=1000)] = Field(
        default_factory=list,
        description="SOP Instance UIDs that were received, and whose files were found damaged: "
        "they are not counted",
    )


def fitting_report(fields: dict[str, Any]) -> tuple[Series, frozenset[str]]:
    """Return the report of these fields, and the names of those that it does not take.

    These are left out: a series is not lost for what one text says. Raises ValidationError where no
    report is left without them.
    """
    unfit: frozenset[str] = frozenset()
    while True:
        try:
            return Series.model_validate(fields), unfit
        except ValidationError as error:
            named = {str(each["loc"][0]) for each in error.errors() if each["loc"]}
            if not named - unfit:
                raise
            unfit |= named
            empty = dict.fromkeys(named & {"PatientName", "PatientID"}, "")
            fields = {name: value for name, value in fields.items() if name not in named} | empty
