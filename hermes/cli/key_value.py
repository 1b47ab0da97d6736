"""KEY=VALUE words of a command line: to JSON values, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hermes.cli.exit_code import CommandExit, leave
from hermes.cli.smpp import printable


def read_pairs(words: Iterable[str], likes: dict[str, Any]) -> dict[str, Any]:
    """Read KEY=VALUE words; `likes` has values of the kind each key takes. Exits 2 without a =."""
    pairs: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            leave(CommandExit.USAGE, f"{word}: expected KEY=VALUE")
        pairs[key] = read_value(text, likes.get(key))
    return pairs


def read_value(text: str, like: object) -> Any:
    """Give the value of a word: JSON, a number such as 0x14, else the word itself.

    Where a text is wanted, digits are text: an address, a pattern, octets in hexadecimal.
    """
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if isinstance(like, str):
        return value if isinstance(value, str) else text
    if value == text and text[:2].lower() == "0x":
        try:
            return int(text, 16)
        except ValueError:
            return text
    return value


def written(value: object) -> str:
    """Give a value as it is typed; nothing in it moves the cursor."""
    return printable(value if isinstance(value, str) else json.dumps(value))
