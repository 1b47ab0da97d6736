"""Every fault of a mail relay's account is named by its key and the rule it breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes.settings.load import BadSettings, load

SENDER = 'default_sender = "Acme <hello@acme.example>"'
RELAY = '[carrier.relay]\nhost = "smtp.example.net"\n'
MAIN = '[mail]\ndomain = "bounce.acme.example"\n'


def faults(tmp_path: Path, profile: str, relay: str = RELAY, main: str = MAIN) -> list[str]:
    """Give the faults of one carrier of kind smtp, and of the main file."""
    (tmp_path / "carriers").mkdir()
    text = f'[[carrier]]\nid = "mail"\nkind = "smtp"\n{profile}\n{relay}'
    (tmp_path / "carriers" / "mail.toml").write_text(text)
    (tmp_path / "hermes.toml").write_text(main)
    try:
        load(tmp_path, {})
    except BadSettings as error:
        return [str(fault) for fault in error.faults]
    return []


@pytest.mark.parametrize(
    ("profile", "relay", "fault"),
    [
        (SENDER, "", "carrier[0].relay: a carrier of kind smtp needs one"),
        ("", RELAY, "carrier[0].default_sender: a carrier of kind smtp needs one"),
        ('default_sender = "Acme"', RELAY, "carrier[0].default_sender: 'Acme' is no mailbox"),
        (
            SENDER,
            RELAY + '[[carrier.bind]]\nid = "1"\nhost = "h"\nport = 1\nsystem_id = "x"\n',
            "carrier[0].bind: a carrier of kind smtp has none",
        ),
        (SENDER, RELAY + "port = 0", "carrier[0].relay.port: 0 is not in 1..65535"),
        (SENDER, RELAY + "connections = 0", "carrier[0].relay.connections: 0 is too few"),
        (SENDER, RELAY + "max_messages = -1", "carrier[0].relay.max_messages: -1 is below 0"),
        (SENDER, RELAY + 'security = "none"', "carrier[0].relay.security: invalid enum value"),
        (SENDER, RELAY + 'security = "plain"', "carrier[0].relay.security: plain sends in the"),
        (SENDER, RELAY + "tls = { insecure = true }", "carrier[0].relay.tls: insecure sends in"),
        (
            SENDER,
            RELAY + 'security = "plain"\ntls = { insecure = true, ca_file = "x" }',
            "carrier[0].relay.tls: plain sends in the clear, and files",
        ),
        (SENDER, RELAY + 'tls = { key_file = "x" }', "carrier[0].relay.tls.key_file: needs cert"),
        (SENDER, RELAY + 'password = "x"', "carrier[0].relay.password: secrets are references"),
        (
            SENDER + '\nstatus_map = { "0x400" = "retry" }',
            RELAY,
            "carrier[0].status_map: '0x400': no reply code",
        ),
    ],
)
def test_a_wrong_value_of_a_relay_is_named(
    tmp_path: Path, profile: str, relay: str, fault: str
) -> None:
    (found,) = faults(tmp_path, profile, relay)
    assert found.startswith(fault)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_mail_goes_in_the_clear_within_this_machine(tmp_path: Path, host: str) -> None:
    assert faults(tmp_path, SENDER, f'[carrier.relay]\nhost = "{host}"\nsecurity = "plain"') == []


def test_mail_goes_in_the_clear_to_another_machine_where_that_is_said(tmp_path: Path) -> None:
    assert faults(tmp_path, SENDER, RELAY + 'security = "plain"\ntls = { insecure = true }') == []


def test_mail_that_leaves_this_machine_needs_a_domain_of_its_own(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, SENDER, RELAY, "")
    assert found.startswith("mail.domain: is needed for the mail of carrier 'mail'")


def test_a_password_needs_its_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "a long password")
    (found,) = faults(tmp_path, SENDER, RELAY + 'password = { env = "MAIL_PASSWORD" }')
    assert found.startswith("carrier[0].relay.user: is missing")


def test_a_carrier_of_another_kind_has_no_relay(tmp_path: Path) -> None:
    (tmp_path / "carriers").mkdir()
    text = f'[[carrier]]\nid = "acme"\nkind = "provider"\n{RELAY}'
    (tmp_path / "carriers" / "acme.toml").write_text(text)
    with pytest.raises(BadSettings, match=r"carrier\[0\].relay: a carrier of kind provider has"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("main", "fault"),
    [
        ('[mail]\ndomain = "acme"', "mail.domain: its domain has no dot"),
        ('[mail]\nverp_secret = "x"', "mail.verp_secret: secrets are references"),
        ("[mail]\nlistener_port = 70000", "mail.listener_port: expected"),
        ("[mail]\nconfirm_after = 0", "mail.confirm_after: expected"),
    ],
)
def test_a_wrong_value_of_the_section_is_named(tmp_path: Path, main: str, fault: str) -> None:
    (found,) = faults(tmp_path, SENDER, RELAY, main)
    assert found.startswith(fault)


def test_the_secret_of_return_paths_may_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HERMES_MAIL__VERP_SECRET", "from outside")
    settings = load(None, {"HERMES_MAIL__VERP_SECRET": "from outside"})
    assert settings.mail.verp_secret == "from outside"
