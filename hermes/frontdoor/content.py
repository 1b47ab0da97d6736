"""Layer content: words that can be stored, an SMS that fits its segments, a mail that is one."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from hermes.core.channel import ChannelSpec
from hermes.core.plan import Content, Unsubscribe
from hermes.frontdoor.schema import ContentRequest, SendRequest, UnsubscribeRequest, invalid
from hermes.mail.address import BadAddress, parse_address
from hermes.mail.job_mail import first_words
from hermes.smpp.segment import MAX_SEGMENTS, TextTooLong, segments

MOST_READ: Final = 4096
"""Characters of a text that are looked at for a subject."""
OF_MAIL: Final = ("subject", "html", "unsubscribe")
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# as List-Unsubscribe holds it: in angle brackets, and a comma would begin the next
LINK: Final = re.compile(r"https://[!-+\--;=?-~]+")


def check_words(name: str, text: str, max_segments: int | None) -> int:
    """Check a text, and with a limit that it fits as SMS; gives its segments. Raises Problem."""
    if not text.strip():
        raise invalid(name, "must not be empty")
    check_storable(name, text)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise invalid(name, "holds half a surrogate pair, which is no character") from error
    if max_segments is None:
        return 1
    try:
        count = len(segments(text, 0))
    except TextTooLong as error:
        raise invalid(
            name, f"needs over {MAX_SEGMENTS} segments, the limit is {max_segments}"
        ) from error
    if count > max_segments:
        raise invalid(name, f"needs {count} segments, the limit is {max_segments}")
    return count


def check_storable(name: str, text: str | None) -> None:
    """Refuse a NUL, for the ledger's refusal would quote its surroundings in a log.

    Raises Problem.
    """
    if text is not None and "\0" in text:
        raise invalid(name, "must not hold the character U+0000")


def content_of(
    request: SendRequest,
    own: ContentRequest | None,
    spec: ChannelSpec,
    prefix: str,
    max_segments: int,
) -> tuple[Content | None, int]:
    """Give what a step says, as far as it is not the message's text, and its segments.

    `own` is the step's content, `prefix` stands before its name. Raises Problem.
    """
    own = own or ContentRequest()
    is_mail = spec.address == "email"
    if not is_mail:
        refuse_mail_words(own, f"{prefix}content.", "belongs to email")
    text, name = (own.text, f"{prefix}content.text")
    if text is None:
        text, name = request.text, "text"
    if text is None:
        raise missing_text(request, own, prefix, is_mail=is_mail)
    count = check_words(name, text, max_segments if spec.address == "e164" else None)
    if is_mail:
        return mail_of(request, own, text, prefix), count
    return (None if own.text is None else Content(text=own.text)), count


def missing_text(
    request: SendRequest, own: ContentRequest, prefix: str, *, is_mail: bool
) -> Exception:
    """Make the problem of a step that has nothing to say."""
    if is_mail and own.html is not None:
        return invalid(f"{prefix}content.html", "needs a text beside it")
    if is_mail and request.html is not None:
        return invalid("html", "needs a text beside it")
    return invalid(f"{prefix}content.text" if prefix else "text", "required")


def mail_of(request: SendRequest, own: ContentRequest, text: str, prefix: str) -> Content:
    """Give the words of a mail: the step's own, else the message's.

    The message's html is that of its text, so a step with a text of its own does without it.
    Raises Problem.
    """
    html = own.html if own.html is not None or own.text is not None else request.html
    if html is not None:
        check_words(f"{prefix}content.html" if own.html is not None else "html", html, None)
    subject = own.subject if own.subject is not None else request.subject
    if subject is not None:
        check_subject(f"{prefix}content.subject" if own.subject is not None else "subject", subject)
    return Content(
        text=own.text,
        subject=first_words(text[:MOST_READ]) if subject is None else subject,
        html=html,
        unsubscribe=unsubscribe_of(own.unsubscribe, f"{prefix}content.unsubscribe")
        or unsubscribe_of(request.unsubscribe, "unsubscribe"),
    )


def check_subject(name: str, subject: str) -> None:
    """Check that a subject is one line of words. Raises Problem."""
    check_words(name, subject, None)
    if CONTROL.search(subject):
        raise invalid(name, "must be one line without control characters")


def unsubscribe_of(asked: UnsubscribeRequest | None, name: str) -> Unsubscribe | None:
    """Give where the recipient leaves. Raises Problem."""
    if asked is None:
        return None
    if LINK.fullmatch(asked.url) is None or not has_host(asked.url):
        rule = "must be an https link (RFC 8058) of ASCII without blanks, commas or < >"
        raise invalid(f"{name}.url", rule)
    if asked.mailto is not None:
        try:
            parse_address(asked.mailto)
        except BadAddress as error:
            raise invalid(f"{name}.mailto", f"must be a mail address: {error.why}") from error
    return Unsubscribe(asked.url, asked.mailto)


def has_host(url: str) -> bool:
    """Say whether a link leads to a host."""
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def refuse_mail_words(content: ContentRequest | SendRequest, prefix: str, rule: str) -> None:
    """Refuse what only a mail has. Raises Problem."""
    for name in OF_MAIL:
        if getattr(content, name) is not None:
            raise invalid(f"{prefix}{name}", rule)
