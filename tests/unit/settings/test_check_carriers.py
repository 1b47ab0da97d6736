"""Every fault of a carrier's profile is named by its key and the rule it breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes.settings.load import BadSettings, load

BIND = '[[carrier.bind]]\nid = "1"\nhost = "h"\nport = 2775\nsystem_id = "x"\n'


def faults(tmp_path: Path, profile: str = "", bind: str = "") -> list[str]:
    """Give the faults of one carrier."""
    (tmp_path / "carriers").mkdir()
    text = f'[[carrier]]\nid = "acme"\n{profile}\n{BIND}{bind}'
    (tmp_path / "carriers" / "acme.toml").write_text(text)
    try:
        load(tmp_path, {})
    except BadSettings as error:
        return [str(fault) for fault in error.faults]
    return []


@pytest.mark.parametrize(
    ("profile", "fault"),
    [
        ('tz = "Mars/Phobos"', "carrier[0].tz: 'Mars/Phobos' is no time zone"),
        ('number_format = "national"', "carrier[0].country: number_format national needs"),
        ('country = "+45"', "carrier[0].country: '+45' is no calling code"),
        ('tlv = { vendor = "00" }', "carrier[0].tlv: 'vendor' is no tag"),
        ('tlv = { "0x10000" = "00" }', "carrier[0].tlv: tag 0x10000 is not in 1..0xffff"),
        ('tlv = { "0x1403" = "0g" }', "carrier[0].tlv: the value of 0x1403 must be hex"),
        (
            'sender_rules = [{ match = "(" , refuse = true }]',
            "carrier[0].sender_rules: rule 0: mat",
        ),
        ('sender_rules = [{ match = "A" }]', "carrier[0].sender_rules: rule 0: give either"),
        ('status_map = { "0x400-0x3ff" = "retry" }', "carrier[0].status_map: '0x400-0x3ff' is no"),
        ('status_map = { ESME_RNONE = "retry" }', "carrier[0].status_map: 'ESME_RNONE' is no stat"),
        ("max_rate = 0.0", "carrier[0].max_rate: 0.0 segments/s sends nothing"),
        ("max_queue = 0", "carrier[0].max_queue: 0 leaves no room"),
        ("validity_s = 5", "carrier[0].validity_s: 5 is not in 60.."),
        (
            'price = [{ prefix = "45", amount = "x", currency = "EUR" }]',
            "carrier[0].price: row 0: am",
        ),
        (
            'price = [{ prefix = "45", amount = "1", currency = "e" }]',
            "carrier[0].price: row 0: curr",
        ),
        (
            'default_alphabet = "latin1"\nnational_languages = ["tr"]',
            "carrier[0].national_languages: national tables need default_alphabet gsm7",
        ),
    ],
)
def test_a_wrong_value_of_the_profile_is_named(tmp_path: Path, profile: str, fault: str) -> None:
    (found,) = faults(tmp_path, profile)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("bind", "fault"),
    [
        ("window = 0", "carrier[0].bind[0].window: 0 is too small"),
        ('system_type = "1234567890123"', "carrier[0].bind[0].system_type: has 13 characters"),
        ('system_type = "caf\u00e9"', "carrier[0].bind[0].system_type: holds characters other"),
        ('tls = { insecure = true, ca_file = "x" }', "carrier[0].bind[0].tls: insecure sends in"),
        ('tls = { key_file = "x" }', "carrier[0].bind[0].tls.key_file: needs cert_file"),
        ('engine = "fast"', "carrier[0].bind[0].engine: invalid enum value 'fast'"),
    ],
)
def test_a_wrong_value_of_a_bind_is_named(tmp_path: Path, bind: str, fault: str) -> None:
    (found,) = faults(tmp_path, bind=bind)
    assert found.startswith(fault)


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    found = faults(tmp_path, 'tz = "nowhere"\nmax_queue = 0', "window = 0")
    assert [fault.partition(":")[0] for fault in found] == [
        "carrier[0].bind[0].window",
        "carrier[0].tz",
        "carrier[0].max_queue",
    ]


def test_a_profile_that_uses_everything_is_right(tmp_path: Path) -> None:
    profile = """
tz = "Europe/Copenhagen"
number_format = "national"
country = "45"
tlv = { "0x1403" = "00ff" }
sender_rules = [{ match = "[0-9]+", use = "Acme" }, { match = "BANK", refuse = true }]
status_map = { "0x400-0x41f" = "throttle", "0x405" = "permanent", ESME_RX_P_APPN = "retry" }
national_languages = ["tr", "es"]
max_rate = 1.5
validity_s = 3600
price = [{ prefix = "", amount = "0.031", currency = "EUR" }]
"""
    assert faults(tmp_path, profile, 'engine = "native"') == []
