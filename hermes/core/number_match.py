"""Whether the addresses of a receipt answer those of a submit, in whatever format they stand."""

from __future__ import annotations

from typing import Final

SHORTEST_SUFFIX: Final = 6
"""Digits a number without its country has at least; shorter ones (short codes) must be equal."""


def digits(address: str) -> str:
    """Give the digits of an address without leading zeros, since trunk and exit codes differ.

    An alphanumeric sender has none: carriers rewrite it.
    """
    if any(c.isalpha() for c in address):
        return ""
    return "".join(c for c in address if "0" <= c <= "9").lstrip("0")


def same_number(one: str, other: str) -> bool:
    """Say whether the digits of two addresses agree; one of them may lack the country's."""
    short, long = (one, other) if len(one) <= len(other) else (other, one)
    return short == long or (len(short) >= SHORTEST_SUFFIX and long.endswith(short))


def addresses_agree(submitted: tuple[str, str], received: tuple[str, str]) -> bool:
    """Say whether a receipt's (source, destination) answers a submit's, swapped; all as digits.

    A sender without digits (alphanumeric, or left out) says nothing either way; the subscriber's
    number must be there and agree.
    """
    source, destination = submitted
    back_source, back_destination = received
    if not destination or not same_number(destination, back_source):
        return False
    return not source or not back_destination or same_number(source, back_destination)
