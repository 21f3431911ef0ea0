"""TLS for the Storage SCP, by BCP 195 (RFC 9325), as the profile of PS3.15 B.12 asks."""

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
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    path = certificate
    try:
        # Asked for only to be refused: a key with a passphrase would make the program wait.
        context.load_cert_chain(certificate, private_key, password=_no_passphrase)
        if client_ca is not None:
            path = client_ca
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        # An SSLError is an OSError too, and says what is wrong with the content.
        what = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise TlsUnusable(
            f"TLS cannot use {path} (with the key {private_key}): {what}; "
            "give PEM files that this user may read"
        ) from error
    return context


def _no_passphrase() -> str:
    raise ValueError("the private key has a passphrase, and nobody is here to type it")
