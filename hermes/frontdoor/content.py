"""Layer content: words that can be stored, and an SMS that fits its segments."""

from __future__ import annotations

from hermes.frontdoor.schema import invalid
from hermes.smpp.segment import MAX_SEGMENTS, TextTooLong, segments


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
