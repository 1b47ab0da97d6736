"""A carrier's profile allows national tables by language, and only those there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes.settings.load import BadSettings, load

CARRIER = """
[[carrier]]
id = "acme"
{line}
[[carrier.bind]]
id = "a"
host = "smsc.example"
port = 2775
system_id = "us"
"""


def folder(tmp_path: Path, line: str) -> Path:
    (tmp_path / "carriers").mkdir()
    (tmp_path / "carriers" / "acme.toml").write_text(CARRIER.format(line=line))
    return tmp_path


def test_languages_are_named_by_their_codes(tmp_path: Path) -> None:
    (carrier,) = load(folder(tmp_path, 'national_languages = ["tr", "es"]'), {}).carrier
    assert carrier.national_languages == ("tr", "es")


def test_no_language_is_the_default(tmp_path: Path) -> None:
    (carrier,) = load(folder(tmp_path, ""), {}).carrier
    assert carrier.national_languages == ()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (
            'national_languages = ["tr", "dk"]',
            "carrier[0].national_languages: invalid enum value 'dk'",
        ),
        (
            'default_alphabet = "latin1"\nnational_languages = ["tr"]',
            "carrier[0].national_languages: national tables need default_alphabet gsm7, not latin1",
        ),
    ],
)
def test_what_cannot_work_is_a_fault(tmp_path: Path, line: str, fault: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load(folder(tmp_path, line), {})
    assert [str(one) for one in caught.value.faults] == [fault]
