"""`hermes smpp`: explain PDUs and delivery receipts, as Hermes reads them; needs no daemon."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, tzinfo
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec
import typer

from hermes.cli.exit_code import CommandExit, leave
from hermes.cli.status import AsJson
from hermes.smpp.command import CommandId
from hermes.smpp.explain import ExplainedPdu, Line, Rest, explain
from hermes.smpp.explain_receipt import ExplainedReceipt, explain_receipt
from hermes.smpp.hex_text import BadHex, read_hex
from hermes.smpp.pdu import Pdu
from hermes.smpp.tlv import Tlv, TlvTag

_WIDTH: Final = 28
_JOINERS: Final = "\u200c\u200d"
"""Not printable by themselves, but in them: emoji and Indic letters are made with them."""


def decode(
    octets: Annotated[
        list[str],
        typer.Argument(
            metavar="HEX",
            help="One or more PDUs in hexadecimal; spaces, newlines, colons and 0x may be in it.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Explain PDUs: every field with its meaning, what is wrong, what Hermes answers."""
    try:
        pdus, rest = explain(read_hex(" ".join(octets)))
    except BadHex as error:
        leave(CommandExit.USAGE, f"HEX {error}")
    if not pdus and rest is None:
        leave(CommandExit.USAGE, "HEX holds no octets")
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins({"pdus": pdus, "rest": rest})))
        return
    for pdu in pdus:
        typer.echo("\n".join(pdu_lines(pdu)))
    if rest is not None:
        typer.echo("\n".join(rest_lines(rest)))


def receipt(
    text: Annotated[str, typer.Argument(help="The text of the receipt; may be empty.")],
    tlv: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TAG=HEX", help="A TLV beside it, such as 0x0427=02 or message_state=02."
        ),
    ] = None,
    tz: Annotated[str, typer.Option(help="Time zone of the dates, as in the profile.")] = "UTC",
    as_json: AsJson = False,
) -> None:
    """Explain a delivery receipt: every field and who said it, and the event it makes."""
    try:
        message = text.encode("latin-1")
    except UnicodeEncodeError as error:
        character = text[error.start]
        sentence = f"TEXT at character {error.start + 1}: {character!r} is no octet (latin-1)"
        leave(CommandExit.USAGE, sentence)
    tlvs = tuple(read_tlv(written) for written in tlv or ())
    fields: dict[str, object] = {"esm_class": 0x04, "short_message": message}
    pdu = Pdu(CommandId.deliver_sm, fields=fields, tlvs=tlvs)
    explained = explain_receipt(pdu, read_zone(tz))
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(explained)))
    else:
        typer.echo("\n".join(receipt_lines(explained)))


COMMANDS: Final[dict[str, Callable[..., None]]] = {"decode": decode, "receipt": receipt}


def read_tlv(written: str) -> Tlv:
    """Read TAG=HEX, the tag by name or number; exits 2 for anything else."""
    name, equals, value = written.partition("=")
    if not equals:
        leave(CommandExit.USAGE, f"--tlv {written}: expected TAG=HEX")
    try:
        known = TlvTag.__members__.get(name)
        tag = int(name, 0) if known is None else int(known)
    except ValueError:
        leave(CommandExit.USAGE, f"--tlv {written}: {name!r} is no tag, nor the name of one")
    if not 0 <= tag <= 0xFFFF:
        leave(CommandExit.USAGE, f"--tlv {written}: tag {tag} is outside 0..65535")
    try:
        return Tlv(tag, read_hex(value))
    except BadHex as error:
        leave(CommandExit.USAGE, f"--tlv {written}: value {error}")


def read_zone(name: str) -> tzinfo:
    """Give a time zone; exits 2 when there is none of that name."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        leave(CommandExit.USAGE, f"--tz {name}: there is no such time zone")


def pdu_lines(pdu: ExplainedPdu) -> Iterator[str]:
    """Give the lines of a PDU."""
    yield f"{pdu.command}  sequence {pdu.sequence_number}  at octet {pdu.at}"
    yield row("command_length", pdu.command_length, "octets")
    yield row("command_id", f"0x{pdu.command_id:08x}", pdu.command)
    status = f"{pdu.status}: {pdu.status_meaning}" if pdu.status_meaning else pdu.status
    yield row("command_status", f"0x{pdu.command_status:08x}", status)
    yield from map(line_row, pdu.fields)
    if pdu.content:
        yield "  user data"
        yield from (f"  {line_row(line)}" for line in pdu.content)
    if pdu.tlvs:
        yield "  TLVs"
        yield from (
            f"  {row(f'{tlv.tag} {tlv.name}', tlv.value_hex, tlv.meaning)}" for tlv in pdu.tlvs
        )
    if pdu.tail_hex:
        yield row("trailing octets", pdu.tail_hex)
    if pdu.receipt is not None:
        yield from (f"  {line}" for line in receipt_lines(pdu.receipt))
    yield from (row("problem", problem) for problem in pdu.problems)
    yield row("Hermes", pdu.answer)


def rest_lines(rest: Rest) -> Iterator[str]:
    """Give the lines of octets that are no PDU."""
    yield f"no PDU  at octet {rest.at}"
    yield row("octets", rest.hex)
    yield row("problem", rest.problem)
    yield row("Hermes", rest.answer)


def receipt_lines(explained: ExplainedReceipt) -> Iterator[str]:
    """Give the lines of a receipt."""
    state = "final" if explained.final else "not final"
    yield f"receipt  {printable(explained.id) or 'without an id'}  {explained.stat} ({state})"
    for line in explained.lines:
        origin = {"tlv": "by TLV", "text": "by text", "both": "by both", "": ""}[line.origin]
        yield row(line.name, line.value, "  ".join(filter(None, (origin, line.meaning))))
    yield row("event", explained.event)
    for key in explained.keys:
        doubt = "if the addresses agree" if key.needs_address_check else ""
        yield row(f"looked up {key.form}", key.key, doubt)


def line_row(line: Line) -> str:
    """Give the line of one parameter."""
    return row(line.name, line.value, line.meaning)


def row(name: str, value: object, meaning: str = "") -> str:
    """Give name, value and meaning in columns; nothing in it moves the cursor."""
    match value:
        case str():
            shown = printable(value) or '""'
        case int():
            shown = f"{value} (0x{value:02x})"
        case list():
            shown = printable("; ".join(str(entry) for entry in value)) or "none"
        case _:
            shown = printable(str(value))
    return f"  {name:<{_WIDTH}} {shown:<16}  {printable(meaning)}".rstrip()


def printable(text: str) -> str:
    """Write control characters as escapes: a carrier's text must not command a terminal."""
    return "".join(
        character
        if character.isprintable() or character in _JOINERS
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
