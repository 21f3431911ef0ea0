"""Every setting of both programs: one place, read once, checked at start.

Flags win over environment variables (`SERIESGATE_<SECTION>__<KEY>`), variables over the file.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    IPvAnyNetwork,
    PlainSerializer,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from seriesgate.ae_title import checked_ae_title
from seriesgate.webhook_secret import signing_key

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Read when it exists and no other file is named.
DEFAULT_FILE = Path("seriesgate.toml")
ENVIRONMENT_PREFIX = "SERIESGATE_"


class SettingsError(Exception):
    """A setting is wrong. The text is one line per wrong key, which it names."""


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


def without_password(database_url: str) -> str:
    """Return a database URL as it may be shown."""
    return re.sub(r"(://[^/@:]*:)[^/@]*@|([?&]password=)[^&]*", _hide, database_url)


def _hide(found: re.Match[str]) -> str:
    return f"{found[1]}***@" if found[1] else f"{found[2]}***"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_tls(certificate: Path | None, private_key: Path | None, client_ca: Path | None) -> None:
    if (certificate is None) != (private_key is None):
        raise ValueError("tls_certificate and tls_private_key belong together: set both")
    if client_ca is not None and certificate is None:
        raise ValueError("tls_client_ca needs tls_certificate and tls_private_key")


class _ProgramSettings(_Section):
    log_format: Literal["text", "json"] = Field(
        "text", description="lines for people, or one JSON object a line"
    )


class GatewaySettings(_ProgramSettings):
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
        _check_tls(self.tls_certificate, self.tls_private_key, self.tls_client_ca)
        return self

    @model_validator(mode="after")
    def _tls_of_the_server_is_complete(self) -> GatewaySettings:
        if (self.server_tls_certificate is None) != (self.server_tls_private_key is None):
            raise ValueError(
                "server_tls_certificate and server_tls_private_key belong together: set both"
            )
        return self


class ServerToken(_Section):
    """A token that the settings hold."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "settings"
    token: Annotated[SecretStr, Field(min_length=16, max_length=512)]
    scopes: Annotated[tuple[Literal["register", "read", "admin"], ...], Field(min_length=1)] = (
        "register",
        "read",
    )


class ServerWebhook(_Section):
    """A URL that gets each change of a series."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    url: HttpUrl
    secret: SecretStr

    @model_validator(mode="after")
    def _can_be_used(self) -> ServerWebhook:
        signing_key(self.secret.get_secret_value())
        if self.url.username or self.url.password:
            raise ValueError("the URL must have no user name and no password in it")
        return self


def _token_alone(value: object) -> object:
    return {"token": value} if isinstance(value, str) else value


class ServerSettings(_ProgramSettings):
    """The server: what it listens on and where it stores series."""

    host: str = Field("127.0.0.1", description="address that the server listens on")
    port: Port = Field(8000, description="its TCP port")
    database_url: Annotated[
        str, Field(min_length=1), PlainSerializer(without_password, when_used="json")
    ] = Field(
        "sqlite:///series_data.db",
        description="its database: a SQLite file, or `postgresql://user:password@host/database`",
    )
    database_connections: Annotated[int, Field(ge=2, le=100)] = Field(
        5, description="connections of each worker to PostgreSQL; SQLite has one"
    )
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="processes that serve on the one port; more than one need PostgreSQL"
    )
    tokens: tuple[Annotated[ServerToken, BeforeValidator(_token_alone)], ...] = Field(
        (),
        description="tokens besides those of `seriesgate token`: the text alone, for `register` "
        "and `read`, or `{name, token, scopes}`",
    )
    webhooks: tuple[ServerWebhook, ...] = Field(
        (),
        description="URLs that get each change of a series, each `{name, url, secret}`; the secret "
        "signs what they get",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file with the certificate chain; with it the server speaks HTTPS"
    )
    tls_private_key: Path | None = Field(None, description="PEM file with its private key")
    tls_client_ca: Path | None = Field(
        None, description="PEM file; only clients with a certificate of this authority may connect"
    )
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        (), description="reverse proxies, whose X-Forwarded-For and -Proto are believed"
    )
    max_connections: Annotated[int, Field(ge=1, le=65536)] = Field(
        1000,
        description="requests and idle connections of each worker at a time; more are answered 503",
    )
    keep_changes: Annotated[float, Field(ge=7 * 86400, le=3650 * 86400, allow_inf_nan=False)] = (
        Field(
            90 * 86400.0,
            description="seconds for which the changes of series are kept for those who follow "
            "them, and a webhook that is in no settings any more; the series stay",
        )
    )
    access_log: bool = Field(False, description="log each request, without patient data")

    @model_validator(mode="after")
    def _tls_is_complete(self) -> ServerSettings:
        _check_tls(self.tls_certificate, self.tls_private_key, self.tls_client_ca)
        return self

    @model_validator(mode="after")
    def _workers_can_share(self) -> ServerSettings:
        if self.workers > 1 and self.database_url.startswith("sqlite"):
            raise ValueError(
                f"workers = {self.workers} needs PostgreSQL, for SQLite belongs to one process: "
                "set database_url to a PostgreSQL database, or workers to 1"
            )
        return self

    @model_validator(mode="after")
    def _tokens_differ(self) -> ServerSettings:
        texts = [token.token.get_secret_value() for token in self.tokens]
        if len(set(texts)) < len(texts):
            raise ValueError("tokens: two of them are the same")
        return self

    @model_validator(mode="after")
    def _webhooks_differ(self) -> ServerSettings:
        names = [webhook.name for webhook in self.webhooks]
        if len(set(names)) < len(names):
            raise ValueError("webhooks: two of them have the same name")
        return self


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    gateway: GatewaySettings = Field(default_factory=GatewaySettings)
    server: ServerSettings = Field(default_factory=ServerSettings)


def load_settings(
    config_file: Path | None = None, flags: Mapping[str, Mapping[str, Any]] | None = None
) -> Settings:
    """Read the settings; `flags` maps a section to the keys given on the command line.

    Without `config_file`, `seriesgate.toml` in the working folder is read if it exists.
    Raises SettingsError.
    """
    path = config_file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)

    class _FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - replaced by `flags`
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the interface has it
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            given = InitSettingsSource(settings_cls, init_kwargs=dict(flags or {}))
            if path is None:
                return given, env_settings
            return given, env_settings, TomlConfigSettingsSource(settings_cls, path)

    try:
        if path is not None:
            path.open("rb").close()  # the TOML source takes a missing file for an empty one
        loaded = _FromFile()
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from error
    except SourceError as error:
        raise SettingsError(
            f"an environment variable {ENVIRONMENT_PREFIX}… cannot be read ({error}): "
            'lists are written as JSON, like ["MR1", "CT1"]'
        ) from error
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error
    return Settings.model_construct(gateway=loaded.gateway, server=loaded.server)


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        key = ".".join(str(part) for part in problem["loc"])
        match problem["type"]:
            case "extra_forbidden":
                lines.append(f"{key}: there is no such setting")
            case "value_error":
                lines.append(f"{key}: {problem['msg'].removeprefix('Value error, ')}")
            case _:
                message = problem["msg"].replace("Input should be", "must be")
                # A secret is one also when it is wrong.
                is_secret = "token" in key or "webhook" in key
                given = "" if is_secret else f" (it is {problem['input']!r})"
                lines.append(f"{key}: {message}{given}")
    return "\n".join(lines)
