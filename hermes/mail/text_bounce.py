"""Bounces in plain words, of programs that write no RFC 3464: what their words say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from hermes.mail.notice import Notice
from hermes.mail.reply import Reply

_DAEMON: Final = re.compile(r"(?i)(mailer-daemon|postmaster|mail-daemon|mdaemon)@")
_AUTOMATIC: Final = re.compile(
    r"(?i)out of (the )?office|auto(matic)?[ -]?(reply|response)|vacation|away from|abwesen|absence"
)
_DELAYED: Final = re.compile(
    r"(?i)do not need to (resend|send)|delivery (attempts will|has been delayed|is delayed)"
    r"|still (be )?(trying|retried)|will (be|keep) (retried|trying)|warning: message"
    r"|not been delivered yet|has not yet been delivered"
)
_FAILED: Final = re.compile(
    r"(?i)this is the qmail-send program|permanent(ly)? (fail|fatal|error)|gave up|giving up"
    r"|could ?n[o']t be delivered|delivery (has |to .{1,320} )?failed|undeliver(able|ed)"
    r"|unable to deliver|not (be )?deliver(ed|able)|returned (mail|to sender)|mail delivery failed"
    r"|following address(es)? failed|failure notice|did(n't| not) reach"
)
_REPLY: Final = re.compile(
    r"(?<![\d.])([45]\d\d)[ -]((?:[245]\.\d{1,3}\.\d{1,3}[ :])?[^\n]{3,400})"
)
_COLON: Final = re.compile(r"^(\d\.\d{1,3}\.\d{1,3}):")
_STATUS: Final = re.compile(r"\(?#?([45]\.\d{1,3}\.\d{1,3})\)?([^\n]{0,400})")
_FAILED_RECIPIENTS: Final = "x-failed-recipients"
_FOLD: Final = re.compile(r"\n[ \t]+")
_BELOW: Final = re.compile(
    r"(?im)^-{2,} ?(below this line|this is a copy|(the )?original message|the body of the message)"
)


@dataclass(frozen=True, slots=True)
class TextBounce:
    """What a bounce says; `reply` is the one it quotes, or one made up from what it tells."""

    state: Literal["failed", "delayed"]
    reply: Reply
    recipient: str = ""


def read_text_bounce(notice: Notice, sender: str) -> TextBounce | None:
    """Judge a mail without a report; None for what is no bounce: answers of people and machines.

    `sender` is its envelope sender, which a bounce has none of (RFC 5321, 4.5.5).
    """
    headers = notice.headers
    subject = headers.get("subject", "")
    is_daemon = not sender.strip("<> ") or _DAEMON.search(sender) is not None
    is_answer = "auto-replied" in headers.get("auto-submitted", "").lower()
    if not is_daemon or is_answer or _AUTOMATIC.search(subject):
        return None
    # what it returns is the sender's own text, which says nothing of the delivery
    told = _BELOW.split(notice.text, maxsplit=1)[0]
    words = f"{subject}\n{told}"
    recipient = headers.get(_FAILED_RECIPIENTS, "").partition(",")[0].strip()
    if _DELAYED.search(words):
        return TextBounce("delayed", _quoted(told, 450), recipient)
    if recipient or _FAILED.search(words):
        return TextBounce("failed", _quoted(told, 550), recipient)
    return None


def _quoted(text: str, code: int) -> Reply:
    """Give the first reply a text quotes, else its first status with a code that fits."""
    text = _FOLD.sub(" ", text)
    reply = _REPLY.search(text)
    if reply is not None:
        return Reply(int(reply[1]), (_COLON.sub(r"\1", reply[2]),))
    status = _STATUS.search(text)
    return Reply(code, (f"{status[1]} {status[2]}".strip(),)) if status else Reply(code)
