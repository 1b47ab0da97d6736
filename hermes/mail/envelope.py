"""The commands that carry a mail's envelope, and its content as it goes on the wire."""

from __future__ import annotations

import re
from typing import Final

from hermes.mail.hello import Extensions
from hermes.mail.message import Mail
from hermes.mail.session_effect import Stage

_BREAK: Final = re.compile(rb"\r\n?|\n")
_BARE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_XTEXT: Final = re.compile(r"[^!-*,-<>-~]")


def commands_of(mail: Mail, offered: Extensions) -> list[tuple[Stage, bytes]]:
    """Give MAIL, RCPT and DATA with the parameters the server offers to take."""
    sender, recipient = f"MAIL FROM:<{mail.sender}>", f"RCPT TO:<{mail.recipient}>"
    if offered.size is not None:
        sender += f" SIZE={len(mail.content)}"
    if offered.eight_bit and not mail.content.isascii():
        sender += " BODY=8BITMIME"
    if offered.dsn:
        envelope_id = f" ENVID={xtext(mail.envelope_id)}" if mail.envelope_id else ""
        sender += f" RET=HDRS{envelope_id}"
        notify = ",".join(mail.notify) or "NEVER"
        recipient += f" NOTIFY={notify} ORCPT=rfc822;{xtext(mail.recipient)}"
    return [
        (Stage.MAIL, sender.encode("ascii") + b"\r\n"),
        (Stage.RCPT, recipient.encode("ascii") + b"\r\n"),
        (Stage.DATA, b"DATA\r\n"),
    ]


def wire_content(content: bytes) -> bytes:
    """Give a message with every line ended by CRLF, its dots doubled, and the final dot.

    A bare CR or LF becomes a CRLF: what some servers take for a line's end, all must, or a text
    could hold the end of its own message and the commands of another.
    """
    if _BARE.search(content):
        content = _BREAK.sub(b"\r\n", content)
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    doubled = content.replace(b"\r\n.", b"\r\n..")
    return (b"." if doubled.startswith(b".") else b"") + doubled + b".\r\n"


def xtext(text: str) -> str:
    """Encode a parameter's value (RFC 3461, 4)."""
    return _XTEXT.sub(lambda found: "".join(f"+{octet:02X}" for octet in found[0].encode()), text)


def read_xtext(text: str) -> str:
    """Decode a parameter's value; what is not encoded properly stays as it is."""
    octets = re.sub(
        rb"\+([0-9A-F]{2})",
        lambda found: bytes((int(found[1], 16),)),
        text.encode("utf-8", "replace"),
    )
    return octets.decode("utf-8", "replace")
