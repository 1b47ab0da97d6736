"""The table of claims: what a bind does with a job it pulled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hermes.core.claim import Act, Claim, decode_claim, encode_claim, may_be_lost, next_act

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ME = "host/bind/boot-1"
OTHER = "host/bind/boot-0"


def claim(*segments: str, owner: str = OTHER, state: str = "live") -> Claim:
    """Make a claim."""
    return Claim(owner, segments, state)


@pytest.mark.parametrize(
    ("found", "alive", "expires_at", "act"),
    [
        (None, False, LATER, Act.SUBMIT),
        (None, False, NOW, Act.EXPIRE),
        (claim("written", owner=ME), True, LATER, Act.GO_ON),
        (claim("written"), True, LATER, Act.LEAVE),
        (claim("written"), False, LATER, Act.UNCERTAIN),
        (claim("written"), False, NOW, Act.UNCERTAIN),
        (claim("accepted:1", "new"), False, LATER, Act.RESUME),
        (claim("accepted:1", "written"), False, LATER, Act.UNCERTAIN),
        (claim("accepted:1", "new"), True, LATER, Act.RESUME),
        (claim("accepted:1", "new"), False, NOW, Act.EXPIRE),
        (claim("accepted:1", "new", owner=ME), True, LATER, Act.GO_ON),
        (claim("written", "new"), True, LATER, Act.LEAVE),
        (claim("written", "new"), False, LATER, Act.UNCERTAIN),
        (claim("accepted:1", "uncertain"), True, LATER, Act.REPEAT),
        (claim("uncertain", owner=ME), True, LATER, Act.REPEAT),
        (claim("accepted:1", "deferred", "new", owner=ME), True, LATER, Act.REPEAT),
        (claim("elsewhere", "accepted:1"), False, LATER, Act.REPEAT),
        (claim("elsewhere", "written"), False, LATER, Act.UNCERTAIN),
        (claim("accepted:1"), True, LATER, Act.REPEAT),
        (claim("accepted:1"), False, NOW, Act.REPEAT),
        (claim("refused"), False, LATER, Act.REPEAT),
        (claim("accepted:1", "refused"), False, LATER, Act.REPEAT),
        (claim("new", state="cancelled"), False, LATER, Act.CANCEL),
        (claim("new", state="cancelled"), False, NOW, Act.CANCEL),
    ],
)
def test_every_row_of_the_table(
    found: Claim | None, alive: bool, expires_at: datetime, act: Act
) -> None:
    assert next_act(found, ME, owner_alive=alive, now=NOW, expires_at=expires_at) is act


def test_a_claim_that_may_have_been_lost_is_uncertain_never_submitted() -> None:
    act = next_act(None, ME, owner_alive=False, now=NOW, expires_at=LATER, claim_lost=True)
    assert act is Act.UNCERTAIN


@pytest.mark.parametrize(
    ("queued_s", "was_out", "lost"),
    [(-10, True, True), (-10, False, False), (10, True, False), (10, False, False)],
)
def test_only_a_job_older_than_memory_that_was_out_before_may_have_lost_its_claim(
    queued_s: float, was_out: bool, lost: bool
) -> None:
    queued_at = NOW + timedelta(seconds=queued_s)
    assert may_be_lost(queued_at=queued_at, was_out_before=was_out, memory_made_at=NOW) is lost


def test_a_claim_survives_memory() -> None:
    one = claim("accepted:1", "new", owner=ME)
    assert decode_claim(encode_claim(one)) == one
    assert one.boot == "boot-1"
