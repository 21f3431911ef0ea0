"""The gateway's publisher and the server over TLS, with real certificates on real sockets."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime

import pytest
import trustme
from tests.e2e.processes import free_port
from tests.examples import report

from seriesgate.adapters.http_publisher import HttpPublisher
from seriesgate.series.delivery import Delivery, FailureKind, delivery_id_of
from seriesgate.settings.server import ServerSettings
from seriesgate.tls import TlsUnusable, client_context
from seriesgate.wiring.server import run_server

DELIVERY = Delivery(delivery_id_of(report()), report())
TOKEN = "a-token-of-the-settings"


class Files:
    """An authority's certificate, and one it issued with its key, as files."""

    def __init__(self, folder, authority, identity):
        issued = authority.issue_cert(identity)
        self.authority = folder / f"{identity}-ca.pem"
        self.certificate = folder / f"{identity}.pem"
        self.private_key = folder / f"{identity}.key"
        authority.cert_pem.write_to_path(self.authority)
        issued.private_key_pem.write_to_path(self.private_key)
        for blob in issued.cert_chain_pems:
            blob.write_to_path(self.certificate, append=True)


@pytest.fixture
def server_files(tmp_path):
    return Files(tmp_path, trustme.CA(), "localhost")


@pytest.fixture
def gateway_files(tmp_path):
    return Files(tmp_path, trustme.CA(), "gateway.example")


@pytest.fixture
def settings(tmp_path, server_files):
    def settings(**more):
        return ServerSettings(
            port=free_port(),
            database_url=f"sqlite:///{tmp_path}/series_data.db",
            tokens=({"token": TOKEN},),
            tls_certificate=server_files.certificate,
            tls_private_key=server_files.private_key,
            **more,
        )

    return settings


def publish(server, tls, *, token=TOKEN, host="localhost", scheme="https"):
    """Run a server, post one report to it, and give what the publisher makes of the answer."""

    async def scenario():
        stop, ready = asyncio.Event(), asyncio.Event()
        addresses = []

        def on_ready(url):
            addresses.append(url)
            ready.set()

        running = asyncio.create_task(run_server(server, stop, on_ready))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        assert addresses == [f"https://127.0.0.1:{server.port}"]
        publisher = HttpPublisher(
            f"{scheme}://{host}:{server.port}",
            lambda: datetime.now(UTC),
            server_token=token,
            tls=tls,
        )
        try:
            return await publisher.publish(DELIVERY)
        finally:
            await publisher.close()
            stop.set()
            await running

    return asyncio.run(scenario())


def test_report_goes_to_a_server_whose_authority_is_trusted(settings, server_files):
    assert publish(settings(), client_context(server_files.authority)) is None


def test_server_of_another_authority_gets_nothing(settings, gateway_files):
    failure = publish(settings(), client_context(gateway_files.authority))
    assert failure.kind is FailureKind.TRANSIENT
    assert "is not trusted" in failure.reason


def test_authorities_of_the_machine_do_not_know_that_of_the_site(settings):
    assert "is not trusted" in publish(settings(), client_context()).reason


def test_certificate_is_for_the_name_that_is_called(settings, server_files):
    failure = publish(settings(), client_context(server_files.authority), host="127.0.0.1")
    assert "is not trusted" in failure.reason


def test_wrong_token_is_a_mistake_of_the_settings(settings, server_files):
    failure = publish(settings(), client_context(server_files.authority), token="wrong")
    assert failure.kind is FailureKind.MISCONFIGURED
    assert "gateway.server_token" in failure.reason


def test_server_may_ask_for_a_certificate(settings, server_files, gateway_files):
    asking = settings(tls_client_ca=gateway_files.authority)
    nameless = client_context(server_files.authority)
    assert publish(asking, nameless) is not None
    named = client_context(
        server_files.authority, gateway_files.certificate, gateway_files.private_key
    )
    assert publish(asking, named) is None


def test_tls_port_speaks_nothing_else(settings):
    assert publish(settings(), None, scheme="http") is not None


def test_old_versions_are_not_offered(server_files):
    context = client_context(server_files.authority)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize("missing", ["authority", "certificate"])
def test_file_that_can_not_be_used_is_named(tmp_path, server_files, missing):
    absent = tmp_path / "absent.pem"
    arguments = (absent,) if missing == "authority" else (None, absent, server_files.private_key)
    with pytest.raises(TlsUnusable, match=r"absent\.pem"):
        client_context(*arguments)
