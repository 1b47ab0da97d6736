"""What a mail that came back says of an attempt: which one, what became of it, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from hermes.core.event import EventKind
from hermes.core.ids import BadId, split_attempt_id
from hermes.core.units import Reason
from hermes.mail.bounce_rule import COMPLAINT, UNCATEGORIZED, BounceClass
from hermes.mail.notice import Fields, Notice, read_notice
from hermes.mail.reply import EnhancedCode, Reply, parse_enhanced, parse_reply, public_text
from hermes.mail.text_bounce import read_text_bounce
from hermes.mail.verdict import Classifier
from hermes.mail.verp import Verp

ReportState: TypeAlias = Literal[
    "failed", "delayed", "delivered", "relayed", "expanded", "complaint"
]
FoundBy: TypeAlias = Literal["verp", "return_path", "envelope_id", "message_id", "hermes_id"]

EVENTS: Final[Mapping[ReportState, EventKind | None]] = {
    "failed": "undelivered",
    "delivered": "delivered",
    # progress only: a mailbox further on may still refuse it
    "delayed": "enroute",
    "relayed": "enroute",
    "expanded": "enroute",
    "complaint": None,
}
"""The event of each state; a complaint changes none: the mail had arrived."""

_STATES: Final[tuple[ReportState, ...]] = ("failed", "delivered", "relayed", "expanded", "delayed")
"""The actions of RFC 3464, 2.3.3, the one that counts first."""

_BY_STATUS: Final[Mapping[int, ReportState]] = {5: "failed", 4: "delayed", 2: "delivered"}

_COMPLAINTS: Final = frozenset({"abuse", "fraud", "virus", "opt-out", "opt-out-list", "other"})
"""Feedback types of RFC 5965, 7.3, by which a recipient does not want this mail."""

_ID: Final = re.compile(r"<?(msg_[0-9a-z]{26}\.\d{1,6}\.\d{1,6})(?![\d.])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Report:
    """What is known after reading; `state` None means that it tells of no delivery.

    `is_signed` says that the attempt was found by a return path of ours; every other way holds
    what any recipient of the mail could have written. `recipient` is for the suppression list and
    goes into no event. `suppress` asks for no more mail to it.
    """

    kind: Literal["dsn", "arf", "text"]
    attempt: str | None = None
    found_by: FoundBy | None = None
    state: ReportState | None = None
    reason: Reason | None = None
    label: str = ""
    bounce_class: BounceClass | None = None
    recipient: str = ""

    @property
    def is_signed(self) -> bool:
        """Whether the attempt is certain."""
        return self.found_by in ("verp", "return_path")

    @property
    def event(self) -> EventKind | None:
        """The event it makes of its attempt, None for none."""
        return EVENTS[self.state] if self.state else None

    @property
    def suppress(self) -> bool:
        """Whether the recipient gets no more mail."""
        return self.bounce_class is BounceClass.COMPLAINT or (
            self.bounce_class is BounceClass.HARD and self.state == "failed"
        )


def read_report(
    raw: bytes, recipient: str, sender: str, verp: Verp, classifier: Classifier
) -> Report:
    """Read a mail sent to `recipient` by the envelope sender `sender` ("" is the null path).

    Any octets are fine; what tells nothing gives a report without state or attempt.
    """
    notice = read_notice(raw)
    attempt, found_by = _attempt_of(notice, recipient, verp)
    match notice.kind:
        case "arf":
            return _complaint(notice, attempt, found_by)
        case "dsn":
            return _status(notice, attempt, found_by, classifier)
        case "text":
            return _text(notice, sender, (attempt, found_by), classifier)


# ---------------------------------------------------------------------- which attempt


def _attempt_of(notice: Notice, recipient: str, verp: Verp) -> tuple[str | None, FoundBy | None]:
    """Find the attempt: signed return paths first, then what the mail carried."""
    if (attempt := verp.attempt_of(recipient)) is not None:
        return attempt, "verp"
    paths = (notice.original.get("return-path"), notice.fields.get("original-mail-from"))
    for path in filter(None, paths):
        if (attempt := verp.attempt_of(path)) is not None:
            return attempt, "return_path"
    carried: tuple[tuple[FoundBy, str | None], ...] = (
        ("envelope_id", notice.fields.get("original-envelope-id")),
        ("message_id", notice.original.get("message-id")),
        ("message_id", notice.fields.get("x-original-message-id")),
        ("hermes_id", notice.original.get("x-hermes-id")),
        ("message_id", notice.text if notice.kind == "text" else None),
    )
    for found_by, text in carried:
        if text and (attempt := _attempt_in(text)) is not None:
            return attempt, found_by
    return None, None


def _attempt_in(text: str) -> str | None:
    for found in _ID.finditer(text):
        attempt = found[1].lower()
        try:
            split_attempt_id(attempt)
        except (BadId, ValueError):
            continue
        return attempt
    return None


# ---------------------------------------------------------------------- what became of it


def _status(
    notice: Notice, attempt: str | None, found_by: FoundBy | None, classifier: Classifier
) -> Report:
    """Judge a delivery status notification by the block that counts most."""
    known = [(state, block) for block in notice.recipients if (state := _state_of(block))]
    if not known:
        return Report("dsn", attempt, found_by)
    state, block = min(known, key=lambda each: _STATES.index(each[0]))
    reply = _reply_of(block)
    recipient = _address_in(block.get("original-recipient") or block.get("final-recipient", ""))
    enhanced = reply.enhanced
    code = f"dsn_{enhanced}" if enhanced else f"dsn_{state}"
    text = public_text(reply.text)
    if state not in ("failed", "delayed"):
        return Report("dsn", attempt, found_by, state, Reason(code, text), recipient=recipient)
    label = classifier.label_of(reply)
    if label == UNCATEGORIZED:  # Exim says why in the words for people alone
        label = classifier.label_of(Reply(reply.code, (notice.text,)))
    reason = Reason(code, f"{label}: {text}" if text else label)
    bounce_class = classifier.rules.class_of(label)
    if bounce_class is BounceClass.HARD and reply.code < 500:
        bounce_class = BounceClass.SOFT
    return Report("dsn", attempt, found_by, state, reason, label, bounce_class, recipient)


def _state_of(block: Fields) -> ReportState | None:
    action = block.get("action", "").partition("(")[0].strip().lower()
    found = next((state for state in _STATES if state == action), None)
    if found is None and not action and (status := parse_enhanced(block.get("status", ""))):
        return _BY_STATUS.get(status.kind)
    return found


def _reply_of(block: Fields) -> Reply:
    """Give the reply a block quotes, or makes up from its status (RFC 3464, 2.3.6)."""
    status = parse_enhanced(block.get("status", ""))
    _, _, quoted = block.get("diagnostic-code", "").partition(";")
    quoted = quoted.strip()
    reply = parse_reply(quoted)
    if reply is None:
        kind = status.kind if status else 5
        return Reply(kind * 100 + 50, (f"{status or ''} {quoted}".strip(),))
    if reply.enhanced is None and status is not None and _tells(status):
        return Reply(reply.code, (f"{status} {reply.lines[0]}".strip(),))
    again = re.compile(rf"(?<=\s){reply.code}[ -](?:{reply.enhanced} )?")
    return Reply(reply.code, (again.sub("", reply.lines[0]),))


def _tells(status: EnhancedCode) -> bool:
    return (status.subject, status.detail) != (0, 0)


def _address_in(field: str) -> str:
    """Give the address of `rfc822; user@example.net`, comments left out."""
    _, semicolon, address = field.rpartition(";")
    return (address if semicolon else field).partition("(")[0].strip().strip("<>")


def _complaint(notice: Notice, attempt: str | None, found_by: FoundBy | None) -> Report:
    """Judge a feedback report (RFC 5965)."""
    fields = notice.fields or (notice.recipients[0] if notice.recipients else {})
    kind = fields.get("feedback-type", "").lower()
    recipient = _address_in(fields.get("original-rcpt-to", ""))
    if kind not in _COMPLAINTS:
        return Report("arf", attempt, found_by, recipient=recipient)
    reason = Reason(f"feedback_{kind.replace('-', '_')}", "the recipient complained")
    return Report(
        "arf", attempt, found_by, "complaint", reason, COMPLAINT, BounceClass.COMPLAINT, recipient
    )


def _text(
    notice: Notice,
    sender: str,
    found: tuple[str | None, FoundBy | None],
    classifier: Classifier,
) -> Report:
    """Judge a bounce in the words of a program that knows no reports."""
    bounce = read_text_bounce(notice, sender)
    if bounce is None:
        return Report("text", *found)
    label = classifier.label_of(bounce.reply)
    text = public_text(bounce.reply.text)
    enhanced = bounce.reply.enhanced
    reason = Reason(f"dsn_{enhanced or bounce.state}", f"{label}: {text}" if text else label)
    bounce_class = classifier.rules.class_of(label)
    if bounce_class is BounceClass.HARD and bounce.reply.code < 500:
        bounce_class = BounceClass.SOFT
    return Report("text", *found, bounce.state, reason, label, bounce_class, bounce.recipient)
