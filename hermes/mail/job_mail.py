"""The mail of a job: from whom, under what subject, with which reports asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from hermes.core.job import Job
from hermes.core.plan import Content as JobContent
from hermes.mail.address import BadAddress, Mailbox, parse_address, parse_mailbox
from hermes.mail.message import (
    BadContent,
    Content,
    Mail,
    Origin,
    Unsubscribe,
    compose,
    message_id_of,
    notify_of,
)
from hermes.mail.verp import Verp

SUBJECT_LETTERS: Final = 60
NO_WORDS: Final = "Message"
"""The subject of a text without a word in it."""


@dataclass(frozen=True, slots=True)
class Composer:
    """Makes mails in one carrier's name: `sender` is for jobs that name no mailbox."""

    sender: Mailbox
    domain: str
    verp: Verp

    def message_id(self, attempt: str) -> str:
        """Give the Message-ID of an attempt, angle brackets included."""
        return message_id_of(attempt, self.domain)

    def mail_of(self, job: Job, at: datetime) -> Mail:
        """Make the mail of a job, dated `at`.

        Raises BadAddress, BadContent, UnsafeHeader (all TenantError), ValueError for an attempt
        whose return path is too long.
        """
        if job.text is None:
            raise BadContent("mail", "carries no text")
        said = job.content or JobContent()
        subject = said.subject if said.subject is not None else first_words(job.text)
        mail = compose(
            job.attempt,
            parse_address(job.to),
            Content(subject, job.text, said.html),
            Origin(sender_of(job, self.sender), self.domain, self.verp),
            at,
            unsubscribe_of(said),
        )
        return replace(mail, notify=notify_of(job.success))


def sender_of(job: Job, default: Mailbox) -> Mailbox:
    """Give whom the mail is from: a sender meant for another channel is no mailbox."""
    if job.sender is None:
        return default
    try:
        return parse_mailbox(job.sender)
    except BadAddress:
        return default


def unsubscribe_of(said: JobContent) -> Unsubscribe | None:
    """Give where the recipient leaves. Raises BadAddress."""
    if said.unsubscribe is None:
        return None
    mailto = said.unsubscribe.mailto
    return Unsubscribe(said.unsubscribe.url, parse_address(mailto) if mailto else None)


def first_words(text: str) -> str:
    """Give a subject for a text: its first words, whole ones where they fit."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(words) <= SUBJECT_LETTERS:
        return words or NO_WORDS
    whole = words[:SUBJECT_LETTERS].rpartition(" ")[0]
    return f"{whole or words[: SUBJECT_LETTERS - 1]}…"
