"""What the sections of the settings have in common."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from seriesgate.ae_title import checked_ae_title

if TYPE_CHECKING:
    from pathlib import Path

AeTitle = Annotated[str, AfterValidator(checked_ae_title)]
Port = Annotated[int, Field(ge=1, le=65535)]


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a listener on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Section(BaseModel):
    """A part of the settings: nothing in it that is not known, and nothing that changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def check_tls(certificate: Path | None, private_key: Path | None, client_ca: Path | None) -> None:
    """Raise ValueError unless the three files, or none of them, make sense together."""
    if (certificate is None) != (private_key is None):
        raise ValueError("tls_certificate and tls_private_key belong together: set both")
    if client_ca is not None and certificate is None:
        raise ValueError("tls_client_ca needs tls_certificate and tls_private_key")


class ProgramSettings(Section):
    """What both programs can be told."""

    log_format: Literal["text", "json"] = Field(
        "text", description="lines for people, or one JSON object a line"
    )
