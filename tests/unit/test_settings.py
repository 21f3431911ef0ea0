from __future__ import annotations

import pytest

from seriesgate.settings.gateway import GatewaySettings
from seriesgate.settings.loading import SettingsError, load_settings
from seriesgate.settings.section import is_loopback
from seriesgate.settings.server import without_password


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def complaint(flags=None, config_file=None):
    with pytest.raises(SettingsError) as caught:
        load_settings(config_file, flags)
    return str(caught.value)


def test_defaults_are_those_of_the_original_plan():
    settings = load_settings()
    assert (settings.gateway.ae_title, settings.gateway.scp_port) == ("STORESCP", 6667)
    assert settings.gateway.scp_host == settings.server.host == "127.0.0.1"
    assert settings.gateway.quiet_period == 1.0
    assert settings.gateway.durability == "power"
    assert settings.server.port == 8000
    assert settings.server.database_url == "sqlite:///series_data.db"


def test_flags_win_over_variables_and_variables_over_the_file(tmp_path, monkeypatch):
    (tmp_path / "seriesgate.toml").write_text(
        "[gateway]\nscp_port = 1\nquiet_period = 1.5\n[server]\nport = 1\n"
    )
    monkeypatch.setenv("SERIESGATE_GATEWAY__SCP_PORT", "2")
    monkeypatch.setenv("SERIESGATE_SERVER__PORT", "2")
    settings = load_settings(flags={"gateway": {"scp_port": 3}})
    assert (settings.gateway.scp_port, settings.server.port) == (3, 2)
    assert settings.gateway.quiet_period == 1.5


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("gateway", "scp_port", 0),
        ("gateway", "scp_port", "x"),
        ("gateway", "quiet_period", 0),
        ("gateway", "quiet_period", float("inf")),
        ("gateway", "durability", "none"),
        ("gateway", "ae_title", "A" * 17),
        ("gateway", "ae_title", "  "),
        ("gateway", "ae_title", "A\\B"),
        ("gateway", "server_url", "ftp://x"),
        ("gateway", "max_pdu_length", 100),
        ("gateway", "allowed_calling_ae_titles", ["Ä"]),
        ("gateway", "allowed_networks", ["10.0.0.1/8"]),
        ("gateway", "no_such_key", 1),
        ("server", "port", 70000),
        ("server", "database_url", ""),
        ("server", "database_connections", 1),
        ("server", "workers", 0),
        ("server", "allowed_hosts", ["https://series.example.org"]),
        ("server", "allowed_hosts", ["series.example.org:8000"]),
        ("server", "allowed_hosts", ["*"]),
    ],
)
def test_wrong_value_is_one_line_that_names_the_key(section, key, value):
    text = complaint({section: {key: value}})
    assert text.startswith(f"{section}.{key}")
    assert "\n" not in text


def test_several_workers_need_postgresql():
    text = complaint({"server": {"workers": 2}})
    assert text.startswith("server: workers = 2 needs PostgreSQL")
    assert "\n" not in text
    server = {"workers": 2, "database_url": "postgresql://host/db"}
    assert load_settings(flags={"server": server}).server.workers == 2


def test_every_wrong_key_has_a_line():
    text = complaint({"gateway": {"scp_port": 0, "durability": "x"}})
    assert len(text.splitlines()) == 2


def test_wrong_token_is_not_shown():
    assert "hush" not in complaint({"gateway": {"server_token": ["hush"]}})


def test_listening_beyond_loopback_needs_a_rule_about_senders():
    assert "allow_any_ae" in complaint({"gateway": {"scp_host": "0.0.0.0"}})
    for rule in ({"allowed_calling_ae_titles": ["MR1"]}, {"allow_any_ae": True}):
        load_settings(flags={"gateway": {"scp_host": "0.0.0.0", **rule}})


def test_tls_needs_certificate_and_key_together():
    assert "set both" in complaint({"gateway": {"tls_certificate": "c.pem"}})
    assert "tls_client_ca needs" in complaint({"gateway": {"tls_client_ca": "ca.pem"}})
    load_settings(flags={"gateway": {"tls_certificate": "c.pem", "tls_private_key": "k.pem"}})


def test_token_may_be_its_text_alone_or_say_what_it_is_for():
    long = {"name": "ward-3", "token": "b" * 16, "scopes": ["admin"]}
    settings = load_settings(flags={"server": {"tokens": ["a" * 16, long]}})
    alone, named = settings.server.tokens
    assert (alone.name, alone.scopes) == ("settings", ("register", "read"))
    assert (named.name, named.scopes) == ("ward-3", ("admin",))
    assert named.token.get_secret_value() == "b" * 16
    assert "aaaa" not in str(settings.model_dump(mode="json"))


@pytest.mark.parametrize(
    "tokens", [["short"], ["a" * 16] * 2, [{"token": "a" * 16, "scopes": ["all"]}], [{"name": "x"}]]
)
def test_wrong_token_is_named_but_not_shown(tokens):
    message = complaint({"server": {"tokens": tokens}})
    assert "tokens" in message
    assert "short" not in message
    assert "aaaa" not in message


@pytest.mark.parametrize(
    ("section", "given"),
    [
        ("server", {"tls_certificate": "a.pem"}),
        ("server", {"tls_private_key": "a.pem"}),
        ("server", {"tls_client_ca": "a.pem"}),
        ("gateway", {"server_tls_certificate": "a.pem"}),
    ],
)
def test_tls_is_set_as_a_whole(section, given):
    assert next(iter(given)).removesuffix("_client_ca") in complaint({section: given})


def test_missing_and_broken_files_are_named(tmp_path):
    assert "none.toml" in complaint(config_file=tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[gateway\n")
    assert "broken.toml is not TOML" in complaint(config_file=broken)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[gateway]\nadmin_port = " + b"9" * 5000, "has a number that is too long"),
        (b"[gateway]\nquiet_period = " + b"[" * 100_000, "has too many lists within lists"),
        (b'[gateway]\ngateway_name = "\xff"', "is not UTF-8"),
        (b"#" * (1024 * 1024 + 1), "is longer than 1048576 bytes"),
        (b"[gateway]\nae_title = '" + b"A" * 100_000 + b"'", "gateway.ae_title"),
        (b"[gateway]\nadmin_port = '" + b"9" * 100_000 + b"'", "gateway.admin_port"),
        (b"[gateway]\n" + b"a" * 100_000 + b" = ?", "is not TOML"),
    ],
)
def test_file_that_cannot_be_is_refused_in_one_short_line(tmp_path, content, why):
    file = tmp_path / "odd.toml"
    file.write_bytes(content)
    line = complaint(config_file=file)
    assert why in line
    assert len(line) < 600
    assert "\n" not in line


def test_variable_with_lists_within_lists_is_refused(monkeypatch):
    monkeypatch.setenv("SERIESGATE_GATEWAY__ALLOWED_CALLING_AE_TITLES", "[" * 100_000)
    assert "JSON" in complaint()


def test_list_in_a_variable_is_json(monkeypatch):
    monkeypatch.setenv("SERIESGATE_GATEWAY__ALLOWED_CALLING_AE_TITLES", '["MR1", "CT1"]')
    assert load_settings().gateway.allowed_calling_ae_titles == ("MR1", "CT1")
    monkeypatch.setenv("SERIESGATE_GATEWAY__ALLOWED_CALLING_AE_TITLES", "MR1")
    assert "JSON" in complaint()


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
    ],
)
def test_loopback(host, loopback):
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///series_data.db", "sqlite:///series_data.db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql://user@host/db", "postgresql://user@host/db"),
        ("postgresql://user:a:b%40c@host/db", "postgresql://user:***@host/db"),
        (
            "postgresql:///db?host=/run&password=abc&a=b",
            "postgresql:///db?host=/run&password=***&a=b",
        ),
    ],
)
def test_password_of_the_database_is_used_but_not_shown(url, shown):
    settings = load_settings(flags={"server": {"database_url": url}})
    assert settings.server.database_url == url
    assert settings.model_dump(mode="json")["server"]["database_url"] == shown
    assert without_password(url) == shown


def webhook(**changes):
    return {"name": "ris", "url": "https://ris.example.org/hook", "secret": "k" * 24} | changes


def test_webhooks():
    (found,) = load_settings(flags={"server": {"webhooks": [webhook()]}}).server.webhooks
    assert (found.name, str(found.url)) == ("ris", "https://ris.example.org/hook")
    assert "kkk" not in str(found.model_dump(mode="json"))


@pytest.mark.parametrize(
    "webhooks",
    [
        [webhook(), webhook()],
        [webhook(secret="hush")],
        [webhook(secret="whsec_hush")],
        [webhook(secret=["hush"])],
        [webhook(url="ftp://ris.example.org/hush")],
        [webhook(url="https://user:hush@ris.example.org/")],
        [webhook(name="a b hush")],
        [{"name": "ris", "secret": "hush"}],
    ],
)
def test_wrong_webhook_is_named_but_not_shown(webhooks):
    message = complaint({"server": {"webhooks": webhooks}})
    assert "webhooks" in message
    assert "hush" not in message


@pytest.mark.parametrize(
    ("settings", "share"),
    [
        ({}, 32),
        ({"max_associations": 1}, 1),
        ({"max_associations": 5}, 3),
        ({"max_associations_per_host": 64}, 64),
        ({"max_associations": 8, "max_associations_per_host": 2}, 2),
    ],
)
def test_host_has_half_of_the_associations_unless_it_is_said(settings, share):
    assert GatewaySettings(**settings).associations_per_host == share
