"""Which binds are refused, and with what."""

from __future__ import annotations

import pytest

from hermes.simulator.admission import bind_status
from hermes.simulator.profile import Account, Profile

KNOWN = Profile(accounts=(Account("a", "secret"), Account("b", "other")), max_sessions=2)


@pytest.mark.parametrize(
    ("profile", "system_id", "password", "session_count", "status"),
    [
        (Profile(), "anybody", "anything", 99, 0),
        (KNOWN, "a", "secret", 0, 0),
        (KNOWN, "a", "secret", 1, 0),
        (KNOWN, "a", "secret", 2, 0x05),  # RALYBND
        (KNOWN, "a", "other", 0, 0x0E),  # RINVPASWD
        (KNOWN, "c", "secret", 0, 0x0F),  # RINVSYSID
        (KNOWN, "a", "", 0, 0x0E),
    ],
)
def test_binds(
    profile: Profile, system_id: str, password: str, session_count: int, status: int
) -> None:
    assert bind_status(profile, system_id, password, session_count) == status
