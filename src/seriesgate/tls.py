"""TLS by BCP 195 (RFC 9325), as the profile of PS3.15 B.12 asks of the Storage SCP."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from seriesgate.startup import CannotStart

if TYPE_CHECKING:
    from pathlib import Path

# For TLS 1.2: forward secrecy and authenticated encryption only (RFC 9325 4.2). TLS 1.3 has no
# others.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class TlsUnusable(CannotStart):
    """A certificate or a key cannot be used."""


def server_context(
    certificate: Path, private_key: Path, client_ca: Path | None = None
) -> ssl.SSLContext:
    """Return a context for accepting TLS 1.2 and 1.3.

    `certificate` is a PEM file with the chain, `private_key` its key without a passphrase. With
    `client_ca`, a PEM file, only clients with a certificate of it get through the handshake.
    Raises TlsUnusable.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _restrict(context)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    _load_identity(context, certificate, private_key)
    if client_ca is not None:
        _load_authority(context, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(
    authority: Path | None = None, certificate: Path | None = None, private_key: Path | None = None
) -> ssl.SSLContext:
    """Return a context for connecting with TLS 1.2 and 1.3 to a server whose name is verified.

    `authority` is a PEM file with the authorities that are trusted instead of those of this
    machine. `certificate` and `private_key` are shown to a server that asks. Raises TlsUnusable.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _restrict(context)
    if authority is None:
        context.load_default_certs()
    else:
        _load_authority(context, authority)
    if certificate is not None and private_key is not None:
        _load_identity(context, certificate, private_key)
    return context


def _restrict(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)


def _load_identity(context: ssl.SSLContext, certificate: Path, private_key: Path) -> None:
    try:
        # Asked for only to be refused: a key with a passphrase would make the program wait.
        context.load_cert_chain(certificate, private_key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        raise _unusable(f"{certificate} (with the key {private_key})", error) from error


def _load_authority(context: ssl.SSLContext, authority: Path) -> None:
    try:
        context.load_verify_locations(authority)
    except (OSError, ValueError) as error:
        raise _unusable(str(authority), error) from error


def _unusable(what: str, error: Exception) -> TlsUnusable:
    # An SSLError is an OSError too, and says what is wrong with the content.
    why = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return TlsUnusable(f"TLS cannot use {what}: {why}; give PEM files that this user may read")


def _no_passphrase() -> str:
    raise ValueError("the private key has a passphrase, and nobody is here to type it")
