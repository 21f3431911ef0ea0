"""The section `[gateway]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, HttpUrl, IPvAnyNetwork, SecretStr, model_validator

from seriesgate.gateway.fair_share import share_of
from seriesgate.settings.section import AeTitle, Port, ProgramSettings, check_tls, is_loopback


class GatewaySettings(ProgramSettings):
    """The gateway: what it listens on, where it keeps what it received, where it reports to."""

    scp_host: str = Field("127.0.0.1", description="address that the Storage SCP listens on")
    scp_port: Port = Field(6667, description="its TCP port")
    ae_title: AeTitle = Field("STORESCP", description="its AE title")
    state_dir: Path = Field(
        Path("seriesgate-state"), description="folder of the spool; a local disk"
    )
    quiet_period: Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)] = Field(
        1.0, description="seconds without a new instance after which a series is complete"
    )
    durability: Literal["power", "process"] = Field(
        "power",
        description="what an acknowledged instance survives: loss of `power`, or a crash of the "
        "`process` only",
    )
    server_url: HttpUrl = Field(
        HttpUrl("http://127.0.0.1:8000"), description="where series are registered"
    )
    server_token: SecretStr | None = Field(None, description="bearer token for the server")
    server_ca: Path | None = Field(
        None,
        description="PEM file; the server's certificate must be of this authority instead of one "
        "that is known publicly",
    )
    server_tls_certificate: Path | None = Field(
        None, description="PEM file with the certificate chain to show to the server"
    )
    server_tls_private_key: Path | None = Field(None, description="PEM file with its private key")
    gateway_name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[ -~]+$")] = Field(
        "seriesgate", description="name of this gateway in its reports"
    )
    heartbeat_period: Annotated[float, Field(ge=0.1, le=3600, allow_inf_nan=False)] = Field(
        10.0, description="seconds between the heartbeats that tell the server how the gateway is"
    )
    max_associations: Annotated[int, Field(ge=1, le=4096)] = Field(
        64, description="associations at a time; more are rejected as transient"
    )
    max_associations_per_host: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        None,
        description="associations at a time of one address; more are rejected as transient. "
        "Unless set: half of `max_associations`, so that no host keeps the others out",
    )
    store_timeout: Annotated[float, Field(ge=1, le=7 * 86400, allow_inf_nan=False)] = Field(
        3600.0,
        description="seconds after which an association is ended over which nothing was stored in "
        "that time, though it asks with C-ECHO",
    )
    max_pdu_length: Annotated[int, Field(ge=4096, le=1024 * 1024)] = Field(
        131072, description="longest P-DATA-TF PDU asked of a sender, in bytes"
    )
    min_free_bytes: Annotated[int, Field(ge=0, le=2**60)] = Field(
        1024**3,
        description="bytes that stay free on the disk of the spool: with less, instances are "
        "refused until there is room again",
    )
    keep_delivered: Annotated[float, Field(ge=0, le=365 * 86400, allow_inf_nan=False)] = Field(
        0.0, description="seconds for which the files of a delivered series are kept"
    )
    strays: Literal["register", "refuse"] = Field(
        "register",
        description="an instance of another study or patient than the series it says it is of: "
        "`register` takes it and names it in the report, `refuse` answers C000 while the series is "
        "open",
    )
    remember_delivered: Annotated[float, Field(ge=0, le=3650 * 86400, allow_inf_nan=False)] = Field(
        30 * 86400.0,
        description="seconds for which a delivered series is remembered, so that late instances "
        "count up",
    )
    previews: bool = Field(
        True,
        description="send the server a small picture of each series, of the instance in its "
        "middle; it shows what is burnt into that",
    )
    allowed_calling_ae_titles: tuple[AeTitle, ...] = Field(
        (), description="AE titles that may send; empty: any, if `allow_any_ae` or on loopback"
    )
    allow_any_ae: bool = Field(
        False, description="let any AE title send, also on an address that others can reach"
    )
    allowed_networks: tuple[IPvAnyNetwork, ...] = Field(
        (), description="networks that may connect, like `10.1.0.0/16`; empty: any"
    )
    admin_host: str = Field(
        "127.0.0.1", description="address that the administration listens on, for HTTP"
    )
    admin_port: Port = Field(6680, description="its TCP port; two gateways need two")
    admin_token: Annotated[SecretStr, Field(min_length=16, max_length=512)] | None = Field(
        None,
        description="bearer token for the administration; needed as soon as `admin_host` can be "
        "reached by others",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file with the certificate chain; with it the Storage SCP speaks TLS"
    )
    tls_private_key: Path | None = Field(None, description="PEM file with its private key")
    tls_client_ca: Path | None = Field(
        None, description="PEM file; only senders with a certificate of this authority may connect"
    )
    check_called_ae_title: bool = Field(
        False, description="reject associations that call another AE title than `ae_title`"
    )

    @property
    def associations_per_host(self) -> int:
        """How many associations one address may have at a time."""
        return self.max_associations_per_host or share_of(self.max_associations)

    @model_validator(mode="after")
    def _who_may_send(self) -> GatewaySettings:
        if not (is_loopback(self.scp_host) or self.allowed_calling_ae_titles or self.allow_any_ae):
            raise ValueError(
                f"scp_host {self.scp_host} can be reached by others: say who may send with "
                "allowed_calling_ae_titles, or set allow_any_ae = true"
            )
        return self

    @model_validator(mode="after")
    def _who_may_administer(self) -> GatewaySettings:
        if not is_loopback(self.admin_host) and self.admin_token is None:
            raise ValueError(
                f"admin_host {self.admin_host} can be reached by others: set admin_token"
            )
        return self

    @model_validator(mode="after")
    def _tls_is_complete(self) -> GatewaySettings:
        check_tls(self.tls_certificate, self.tls_private_key, self.tls_client_ca)
        return self

    @model_validator(mode="after")
    def _tls_of_the_server_is_complete(self) -> GatewaySettings:
        if (self.server_tls_certificate is None) != (self.server_tls_private_key is None):
            raise ValueError(
                "server_tls_certificate and server_tls_private_key belong together: set both"
            )
        return self
