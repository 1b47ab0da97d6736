"""What a bind does with a job whose claim is already there: the whole table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hermes.core.claim import Act, Claim, next_act

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ME = "h1/sim-1/b1"
OTHER = "h2/sim-2/b7"
ACCEPTED = "accepted:7f"


def act(claim: Claim | None, *, owner_alive: bool = False, left_s: float = 60.0) -> Act:
    expires_at = NOW + timedelta(seconds=left_s)
    return next_act(claim, ME, owner_alive=owner_alive, now=NOW, expires_at=expires_at)


@pytest.mark.parametrize(
    ("claim", "owner_alive", "left_s", "expected"),
    [
        (None, False, 60, Act.SUBMIT),
        (None, False, 0, Act.EXPIRE),
        (Claim(ME, ("new",)), True, 60, Act.GO_ON),
        (Claim(ME, ("written",)), True, 60, Act.GO_ON),
        (Claim(OTHER, ("new",)), True, 60, Act.LEAVE),
        (Claim(OTHER, ("written",)), True, 60, Act.LEAVE),
        (Claim(OTHER, ("new",)), False, 60, Act.UNCERTAIN),
        (Claim(OTHER, ("written",)), False, 60, Act.UNCERTAIN),
        (Claim(OTHER, (ACCEPTED, "written", "new")), False, 60, Act.UNCERTAIN),
        (Claim(OTHER, (ACCEPTED, "new")), False, 60, Act.RESUME),
        (Claim(OTHER, (ACCEPTED, "new")), True, 60, Act.LEAVE),
        (Claim(ME, (ACCEPTED, "new")), True, 60, Act.GO_ON),
        (Claim(OTHER, (ACCEPTED,)), False, 60, Act.REPEAT),
        (Claim(OTHER, ("refused",)), True, 60, Act.REPEAT),
        (Claim(OTHER, (ACCEPTED, "refused", "new")), True, 60, Act.REPEAT),
        # What was claimed is no longer ours to expire: the carrier may have it.
        (Claim(OTHER, ("written",)), False, 0, Act.UNCERTAIN),
        (Claim(OTHER, ("new",), state="cancelled"), True, 60, Act.CANCEL),
    ],
)
def test_the_table_of_claims(
    claim: Claim | None, owner_alive: bool, left_s: float, expected: Act
) -> None:
    assert act(claim, owner_alive=owner_alive, left_s=left_s) is expected


def test_the_incarnation_is_the_last_word_of_the_owner() -> None:
    assert Claim("host/bind/boot-9", ("new",)).boot == "boot-9"
