"""The section `[server]`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    IPvAnyNetwork,
    PlainSerializer,
    SecretStr,
    model_validator,
)

from seriesgate.settings.section import Port, ProgramSettings, Section, check_tls
from seriesgate.webhook_secret import signing_key

_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?:[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def without_password(database_url: str) -> str:
    """Return a database URL as it may be shown."""
    return re.sub(r"(://[^/@:]*:)[^/@]*@|([?&]password=)[^&]*", _hide, database_url)


def _hide(found: re.Match[str]) -> str:
    return f"{found[1]}***@" if found[1] else f"{found[2]}***"


# Of a host, without a scheme and a port (RFC 1123 2.1; some have an underscore).
_HOST_NAME = r"^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?$"


def checked_origin(origin: str) -> str:
    """Return the origin of a web page as a browser sends it (RFC 6454 6.2), or `*`.

    Raises ValueError.
    """
    found = _ORIGIN.fullmatch(origin.lower())
    if origin != "*" and found is None:
        raise ValueError("must be like https://viewer.example.org or http://10.0.0.7:3000, or *")
    if found is not None and found["port"] == _DEFAULT_PORTS[found["scheme"]]:
        return origin.lower().removesuffix(f":{found['port']}")
    return origin.lower()


class ServerToken(Section):
    """A token that the settings hold."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "settings"
    token: Annotated[SecretStr, Field(min_length=16, max_length=512)]
    scopes: Annotated[tuple[Literal["register", "read", "admin"], ...], Field(min_length=1)] = (
        "register",
        "read",
    )


class ServerWebhook(Section):
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


class ServerSettings(ProgramSettings):
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
    allowed_hosts: tuple[Annotated[str, Field(pattern=_HOST_NAME)], ...] = Field(
        (),
        description="names that the server may be called by, besides `localhost` and IP addresses. "
        "Without any: every name where tokens are needed, no other where they are not",
    )
    max_connections: Annotated[int, Field(ge=1, le=65536)] = Field(
        1000,
        description="requests and idle connections of each worker at a time. Idle ones make room "
        "for others; more are answered 503",
    )
    max_connections_per_address: Annotated[int, Field(ge=1, le=65536)] | None = Field(
        None,
        description="how many of them one address may have; by default half. A trusted proxy may "
        "have all",
    )
    keep_changes: Annotated[float, Field(ge=7 * 86400, le=3650 * 86400, allow_inf_nan=False)] = (
        Field(
            90 * 86400.0,
            description="seconds for which the changes of series are kept for those who follow "
            "them, and a webhook that is in no settings any more; the series stay",
        )
    )
    keep_series: (
        Annotated[float, Field(ge=86400, le=100 * 365.25 * 86400, allow_inf_nan=False)] | None
    ) = Field(
        None,
        description="seconds after the latest report of a series for which it is kept; without it "
        "series are kept until they are deleted",
    )
    qido_origins: tuple[Annotated[str, AfterValidator(checked_origin)], ...] = Field(
        (),
        description="web pages that may search by QIDO-RS from a browser, each by its origin, like "
        "`https://viewer.example.org`; or `*` for all, which get no credentials",
    )
    access_log: bool = Field(False, description="log each request, without patient data")

    @model_validator(mode="after")
    def _tls_is_complete(self) -> ServerSettings:
        check_tls(self.tls_certificate, self.tls_private_key, self.tls_client_ca)
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
    def _origins_are_listed_or_any(self) -> ServerSettings:
        if "*" in self.qido_origins and len(self.qido_origins) > 1:
            raise ValueError("qido_origins: `*` stands alone, or leave it out")
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
