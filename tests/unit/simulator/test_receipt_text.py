"""The template of receipts."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes.simulator.outcome import Stat
from hermes.simulator.receipt_text import Sent, parse_template, parse_zone
from hermes.smpp.pdu import Pdu

SENT = Sent(
    pdu=Pdu(4),
    receipt_id="00255",
    stat=Stat.EXPIRED,
    submitted_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    done_at=datetime(2026, 1, 2, 3, 5, 59, tzinfo=ZoneInfo("Asia/Tokyo")),
    echo="a text that is longer than twenty",
    number=255,
)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{id} {sub} {dlvrd} {stat} {err}", "00255 001 000 EXPIRED 001"),
        ("{id:hex-upper} {id:decimal}", "FF 255"),
        ("{sub:d} {dlvrd:d} {err:x} {err:08X}", "1 0 1 00000001"),
        ("{stat:lower} {stat:.4} {stat:>9}", "expired EXPI   EXPIRED"),
        (
            "{text}|{text:.6}|{text:s}",
            "a text that is longe|a text|a text that is longer than twenty",
        ),
        ("{submit} {done:%Y%m%d%H%M%S}", "2601020304 20260102030559"),
        ("{done:0000000000} {{}}", "0000000000 {}"),
        ("", ""),
    ],
)
def test_fields_are_written_in_their_formats(template: str, text: str) -> None:
    assert parse_template(template).write(SENT) == text


@given(
    st.text(max_size=30)
    | st.lists(
        st.sampled_from(["{", "}", "id", "err", "text", "done", ":", "!r", "%Y", ".3", "d", "999"]),
        max_size=8,
    ).map("".join)
)
def test_any_text_is_a_template_or_is_refused(text: str) -> None:
    try:
        template = parse_template(text)
    except ValueError:
        return
    assert isinstance(template.write(SENT), str)


@pytest.mark.parametrize("name", ["", "..", "/etc/passwd", "Europe", "utc0", "\0"])
def test_a_name_that_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="there is no time zone"):
        parse_zone(name)


def test_a_width_that_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="is wider than 999"):
        parse_template("{text:>1000000000}")
