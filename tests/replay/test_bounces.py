"""Replays mails that come back, in the forms of the programs that write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hermes.adapters.bounce_rules_file import load_rules
from hermes.mail.dsn import Report, read_report
from hermes.mail.verdict import Classifier
from hermes.mail.verp import Verp

FOLDER = Path(__file__).parent / "data" / "bounces"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FOLDER / "expected.json").read_text())
ATTEMPT = "msg_01jnq3h4f8abcdefghjkmnpqrs.0.1"
VERP = Verp("bounce.acme.example", (b"secret",))
PATH = VERP.return_path(ATTEMPT)
ELSEWHERE = "fbl@acme.example"
CLASSIFIER = Classifier(load_rules())

names = pytest.mark.parametrize("name", EXPECTED)


def octets(name: str, path: str = PATH) -> bytes:
    text = (FOLDER / f"{name}.eml").read_text(encoding="utf-8")
    return text.replace("{return_path}", path).replace("{attempt}", ATTEMPT).encode()


def read(name: str, recipient: str = PATH, raw: bytes | None = None) -> Report:
    raw = octets(name) if raw is None else raw
    return read_report(raw, recipient, EXPECTED[name]["sender"], VERP, CLASSIFIER)


def test_every_mail_has_an_expectation() -> None:
    assert sorted(EXPECTED) == sorted(path.stem for path in FOLDER.glob("*.eml"))


@names
def test_a_mail_that_comes_back_is_understood(name: str) -> None:
    expected, report = EXPECTED[name], read(name)
    found = {
        "kind": report.kind,
        "state": report.state,
        "event": report.event,
        "code": report.reason.code if report.reason else None,
        "label": report.label,
        "suppress": report.suppress,
        "recipient": report.recipient,
    }
    assert found == {key: expected[key] for key in found}
    assert (report.attempt, report.found_by, report.is_signed) == (ATTEMPT, "verp", True)


@names
def test_line_ends_make_no_difference(name: str) -> None:
    assert read(name, raw=octets(name).replace(b"\n", b"\r\n")) == read(name)


@names
def test_no_reason_holds_an_address(name: str) -> None:
    report = read(name)
    assert report.reason is None or "@" not in report.reason.text


@names
def test_an_attempt_is_found_by_what_the_mail_carried(name: str) -> None:
    report = read(name, ELSEWHERE)
    assert report.found_by == EXPECTED[name]["found_otherwise"]
    assert report.attempt == (ATTEMPT if report.found_by else None)
    assert report.is_signed is (report.found_by == "return_path")


@names
def test_an_attempt_found_without_a_signature_says_so(name: str) -> None:
    report = read(name, ELSEWHERE, octets(name, "x@elsewhere.example"))
    assert report.found_by == EXPECTED[name]["found_unsigned"]
    assert not report.is_signed


@names
def test_a_mail_cut_anywhere_is_still_read(name: str) -> None:
    raw = octets(name)
    for length in range(0, len(raw), max(1, len(raw) // 40)):
        report = read(name, raw=raw[:length])
        assert report.attempt == ATTEMPT
        assert report.state in (None, EXPECTED[name]["state"], "failed", "delayed")
