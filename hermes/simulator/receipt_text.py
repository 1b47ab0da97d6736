"""The text of a receipt, written by a template (SMPP 3.4, appendix B)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from string import Formatter
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from hermes.simulator.message_id import IdForm, write_id
from hermes.simulator.outcome import ERR, Stat
from hermes.smpp.pdu import Pdu

if TYPE_CHECKING:
    from collections.abc import Mapping

USUAL_TEXT: Final = (
    "id:{id} sub:{sub} dlvrd:{dlvrd} submit date:{submit} done date:{done} stat:{stat} err:{err}"
    " text:{text}"
)
USUAL_DATE: Final = "%y%m%d%H%M"
ECHO: Final = ".20"
"""Characters of the message a receipt repeats, as a format."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The accepted message a receipt is about, its number and how the receipt writes that."""

    pdu: Pdu
    receipt_id: str
    stat: Stat
    submitted_at: datetime
    done_at: datetime
    echo: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Template:
    """Literal texts, each with the field after it and its format (no field: empty)."""

    parts: tuple[tuple[str, str, str], ...]

    def write(self, sent: Sent, date_format: str = USUAL_DATE) -> str:
        """The text; dates without a format of their own are written in `date_format`."""
        written: list[str] = []
        for literal, field, form in self.parts:
            default = date_format if field in _DATES else ""
            written += literal, _FIELDS[field](sent, form or default)
        return "".join(written)


@lru_cache(maxsize=16)
def parse_template(text: str) -> Template:
    """Read a template: `{field}` or `{field:format}`. ValueError says what is wrong."""
    parts: list[tuple[str, str, str]] = []
    for literal, field, form, conversion in Formatter().parse(text):
        if field is not None and field not in _NAMES:
            raise ValueError(f"{{{field}}} is none of {', '.join(f'{{{n}}}' for n in _NAMES)}")
        if conversion or "{" in (form or ""):
            raise ValueError(f"{{{field}}} takes a format only")
        if field not in _DATES and _TOO_WIDE.search(form or ""):
            raise ValueError(f"{{{field}:{form}}} is wider than 999")
        parts.append((literal, field or "", form or ""))
    template = Template(tuple(parts))
    template.write(_SAMPLE)
    return template


def parse_date_format(text: str) -> str:
    """A format of dates, if strftime can write it. ValueError when it cannot."""
    _A_DAY.strftime(text)
    return text


def parse_zone(name: str) -> tzinfo:
    """The time zone of that name. ValueError when there is none."""
    if name == "UTC":
        return UTC  # ZoneInfo would need the system's tables even for this one
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}") from None


def _id(sent: Sent, form: str) -> str:
    return write_id(sent.number, IdForm(form)) if form else sent.receipt_id


def _word(text: str, form: str) -> str:
    return text.lower() if form == "lower" else format(text, form)


_FIELDS: Final[Mapping[str, Callable[[Sent, str], str]]] = {
    "": lambda _sent, _form: "",
    "id": _id,
    "sub": lambda _sent, form: format(1, form or "03d"),
    "dlvrd": lambda sent, form: format(int(sent.stat is Stat.DELIVRD), form or "03d"),
    "submit": lambda sent, form: sent.submitted_at.strftime(form),
    "done": lambda sent, form: sent.done_at.strftime(form),
    "stat": lambda sent, form: _word(str(sent.stat), form),
    "err": lambda sent, form: format(ERR.get(sent.stat, 0), form or "03d"),
    "text": lambda sent, form: format(sent.echo, form or ECHO),
}
_NAMES: Final = tuple(name for name in _FIELDS if name)
_TOO_WIDE: Final = re.compile(r"[0-9]{4}")
_DATES: Final = frozenset(("submit", "done"))
_A_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)
_SAMPLE: Final = Sent(Pdu(0), "0", Stat.DELIVRD, _A_DAY, _A_DAY)
