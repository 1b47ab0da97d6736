"""Return paths that only we can have made."""

from __future__ import annotations

import pytest

from hermes.mail.verp import Verp

ATTEMPT = "msg_01jnq3h4f8abcdefghjkmnpqrs.0.1"
VERP = Verp("bounce.acme.example", (b"new", b"old"))
PATH = VERP.return_path(ATTEMPT)


def test_a_return_path_fits_into_a_local_part_and_names_its_attempt() -> None:
    local, _, domain = PATH.partition("@")
    assert (len(local) <= 64, domain) == (True, "bounce.acme.example")
    assert local.startswith(f"b+{ATTEMPT}.")
    assert VERP.attempt_of(PATH) == ATTEMPT


@pytest.mark.parametrize("text", [PATH.upper(), f"<{PATH}>", f" {PATH} "])
def test_what_systems_on_the_way_do_to_it_is_borne(text: str) -> None:
    assert VERP.attempt_of(text) == ATTEMPT


def test_a_path_signed_with_the_secret_before_is_still_ours() -> None:
    older = Verp(VERP.domain, (b"old",)).return_path(ATTEMPT)
    assert older != PATH
    assert VERP.attempt_of(older) == ATTEMPT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "user@bounce.acme.example",
        PATH.replace("acme", "else"),  # another domain
        PATH.replace(".0.1.", ".0.2."),  # another attempt
        PATH.replace("b+", "c+"),
        PATH.replace("b+msg_", "b+msg"),
        PATH[:30],
        f"b+{ATTEMPT}.{'a' * 16}@bounce.acme.example",  # a guess
        f"b+{ATTEMPT}.@bounce.acme.example",
        f"b+{ATTEMPT}.é@bounce.acme.example",
        f"b+msg_01jnq3h4f8abcdefghjkmnpqrs.٣.1.x@{VERP.domain}",  # digits of another script
        "b+" + "x" * 10_000 + "@bounce.acme.example",
        Verp(VERP.domain, (b"other",)).return_path(ATTEMPT),
    ],
)
def test_no_other_text_is_a_return_path_of_ours(text: str) -> None:
    assert VERP.attempt_of(text) is None


def test_an_attempt_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="a return path of 67 octets, the limit is 64"):
        VERP.return_path(f"{ATTEMPT}00000000000000")


def test_secrets_are_not_shown() -> None:
    assert "new" not in repr(VERP)
