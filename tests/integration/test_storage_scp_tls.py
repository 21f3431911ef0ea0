"""The Storage SCP behind TLS, with and without client certificates."""

from __future__ import annotations

import socket
import ssl
import warnings
from contextlib import closing

import pytest
import trustme
from tests.data_sets import mr_data_set
from tests.integration.receiver import PATIENCE, Peer, running_receiver
from tests.unit.upper_layer import wire

from seriesgate.tls import TlsUnusable, server_context


class Authority:
    """A certificate authority, a server certificate of it, and the files of both."""

    def __init__(self, folder):
        self.ca = trustme.CA()
        server = self.ca.issue_cert("127.0.0.1")
        self.certificate = folder / "server.pem"
        self.private_key = folder / "server.key"
        self.client_ca = folder / "ca.pem"
        server.private_key_pem.write_to_path(self.private_key)
        for number, blob in enumerate(server.cert_chain_pems):
            blob.write_to_path(self.certificate, append=number > 0)
        self.ca.cert_pem.write_to_path(self.client_ca)

    def server_context(self, *, asks_clients=False):
        client_ca = self.client_ca if asks_clients else None
        return server_context(self.certificate, self.private_key, client_ca)

    def client_context(self, *, with_certificate=False):
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if with_certificate:
            self.ca.issue_cert("modality@example.org").configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def connect(receiver, context):
    raw = socket.create_connection((receiver.host, receiver.port), timeout=PATIENCE)
    try:
        return Peer(context.wrap_socket(raw, server_hostname="127.0.0.1"))
    except BaseException:
        raw.close()
        raise


def store(peer, pixels=64):
    peer.send(wire.associate_rq())
    assert peer.receive()[0] == 0x02
    data_set = mr_data_set(sop="1.2.3.4", series="1.2", pixels=pixels)
    assert peer.store(data_set=data_set) == 0x0000
    peer.send(wire.A_RELEASE_RQ)
    assert peer.receive()[0] == 0x06
    return data_set


def is_associated(receiver, context):
    """Return whether the peer gets an answer; in TLS 1.3 it learns of a refusal by its reading."""
    try:
        with closing(connect(receiver, context)) as peer:
            peer.send(wire.associate_rq())
            return peer.receive()[0] == 0x02
    except OSError:
        return False


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_instance_is_stored_over_tls(tmp_path, authority, version):
    context = authority.client_context()
    context.minimum_version = context.maximum_version = version
    with (
        running_receiver(tmp_path / "state", tls=authority.server_context()) as receiver,
        closing(connect(receiver, context)) as peer,
    ):
        data_set = store(peer, pixels=400_000)
        assert receiver.files()[0].read_bytes().endswith(data_set)


def test_plain_dicom_does_not_get_through(tmp_path, authority):
    with (
        running_receiver(tmp_path / "state", tls=authority.server_context()) as receiver,
        closing(receiver.connect()) as peer,
    ):
        peer.send(wire.associate_rq())
        assert peer.receive()[0] not in {0x02, 0x03}
        with closing(connect(receiver, authority.client_context())) as other:
            store(other)


def test_old_tls_does_not_get_through(tmp_path, authority):
    context = authority.client_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        running_receiver(tmp_path / "state", tls=authority.server_context()) as receiver,
        pytest.raises(ssl.SSLError),
    ):
        connect(receiver, context)


def test_client_certificate_is_demanded_when_an_authority_is_named(tmp_path, authority):
    tls = authority.server_context(asks_clients=True)
    with running_receiver(tmp_path / "state", tls=tls) as receiver:
        with closing(connect(receiver, authority.client_context(with_certificate=True))) as peer:
            store(peer)
        stranger = trustme.CA()
        context = authority.client_context()
        stranger.issue_cert("stranger@example.org").configure_cert(context)
        for refused in (authority.client_context(), context):
            assert not is_associated(receiver, refused)
        assert len(receiver.files()) == 1


def test_silent_client_ends_nothing_but_itself(tmp_path, authority):
    with running_receiver(tmp_path / "state", tls=authority.server_context()) as receiver:
        silent = receiver.connect()
        with closing(connect(receiver, authority.client_context())) as peer:
            store(peer)
        silent.close()


@pytest.mark.parametrize("broken", ["certificate", "private_key", "client_ca"])
@pytest.mark.parametrize("content", [None, b"not PEM"])
def test_unusable_file_is_one_clear_line(authority, broken, content):
    path = getattr(authority, broken)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(TlsUnusable, match="PEM files") as caught:
        authority.server_context(asks_clients=True)
    assert "\n" not in str(caught.value)
