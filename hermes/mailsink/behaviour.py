"""What becomes of a mail, by the local part of its recipient."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from hermes.mail.reply import Reply

ReportKind = Literal["delivered", "failed", "delayed", "complaint"]

MAX_SECONDS: Final = 86_400.0
_LOCAL: Final = re.compile(r"([a-z]+)(?:\+(\d{1,5}(?:\.\d{1,3})?)?.*)?@.*", re.DOTALL)


DELIVERED: Final = Reply(250, ("2.1.5 delivered",))


@dataclass(frozen=True, slots=True)
class Behaviour:
    """`name` is the word it goes by; times are seconds.

    `at_recipient` refuses the RCPT, `once` only the first one of each recipient. `at_content`
    answers the message, which is kept all the same; `hang_up` closes the connection instead.
    `answer_after` delays the answer, `report` follows `report_after` the answer.
    """

    name: str
    does: str
    at_recipient: Reply | None = None
    once: bool = False
    at_content: Reply | None = None
    hang_up: bool = False
    answer_after: float = 0.0
    report: ReportKind | None = None
    report_after: float = 1.0
    report_reply: Reply = DELIVERED


_NOBODY: Final = Reply(550, ("5.1.1 no such mailbox: User unknown",))

BEHAVIOURS: Final[Mapping[str, Behaviour]] = {
    each.name: each
    for each in (
        Behaviour(
            "confirm",
            "accepted, and a delivery report follows if one was asked for",
            report="delivered",
        ),
        Behaviour(
            "bounce",
            "accepted, and comes back: no such mailbox",
            report="failed",
            report_reply=_NOBODY,
        ),
        Behaviour(
            "full",
            "accepted, and comes back: the mailbox is full",
            report="failed",
            report_reply=Reply(552, ("5.2.2 mailbox is full",)),
        ),
        Behaviour(
            "blocked",
            "accepted, and comes back: the sender is on a list",
            report="failed",
            report_reply=Reply(554, ("5.7.1 blocked using zen.spamhaus.org",)),
        ),
        Behaviour(
            "delay",
            "accepted, and a report of its delay follows",
            report="delayed",
            report_reply=Reply(450, ("4.7.1 greylisted, try again later",)),
        ),
        Behaviour("complain", "accepted, and called spam by its reader", report="complaint"),
        Behaviour("silent", "accepted, and nothing is heard of it"),
        Behaviour("slow", "accepted, and the answer takes its time", answer_after=5.0),
        Behaviour("reject", "refused for good: no such mailbox", at_recipient=_NOBODY),
        Behaviour(
            "defer",
            "refused for now the first time, confirmed from the second on",
            at_recipient=Reply(451, ("4.7.1 greylisted, try again in 300 seconds",)),
            once=True,
            report="delivered",
        ),
        Behaviour(
            "spam",
            "refused for good once it was read",
            at_content=Reply(554, ("5.7.1 message identified as spam",)),
        ),
        Behaviour(
            "busy",
            "the connection is closed with 421",
            at_recipient=Reply(421, ("4.3.2 too busy",)),
        ),
        Behaviour("drop", "kept, and the connection closed without an answer", hang_up=True),
    )
}
"""By name; a recipient whose name is not here is confirmed."""

DEFAULT: Final = BEHAVIOURS["confirm"]


def behaviour_of(recipient: str, confirm_after: float = 1.0) -> Behaviour:
    """Give the behaviour of a recipient: `bounce@…`, or with seconds `bounce+2.5@…`.

    The seconds are those to the report, or to the answer where the answer is what is slow.
    """
    found = _LOCAL.fullmatch(recipient.lower())
    behaviour = BEHAVIOURS.get(found[1]) if found else None
    if found is None or behaviour is None:
        return replace(DEFAULT, report_after=confirm_after)
    if found[2] is None:
        return replace(behaviour, report_after=confirm_after) if behaviour is DEFAULT else behaviour
    seconds = min(float(found[2]), MAX_SECONDS)
    if behaviour.answer_after:
        return replace(behaviour, answer_after=seconds)
    return replace(behaviour, report_after=seconds)
