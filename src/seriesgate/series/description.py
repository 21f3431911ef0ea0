"""What a report says of a series besides its instances."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SeriesDescription:
    """Texts as they are shown to people: any script, no padding, no control characters.

    What an instance does not say is empty, or None.
    """

    patient_name: str = ""
    patient_id: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    modality: str = ""
    series_number: int | None = None
    series_description: str = ""
    body_part_examined: str = ""
    study_date: str = ""
    study_description: str = ""
    accession_number: str = ""
    manufacturer: str = ""
