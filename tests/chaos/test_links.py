"""Links that end or fall silent under load: submits go on within 3 s of the carrier being back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hermes.settings.tree import Smpp
from tests.chaos.row import Keep
from tests.chaos.stand import LINK_BOUND, WINDOW, Load, Stand

pytestmark = pytest.mark.chaos

SILENT_FOR = 5.0
REFUSED_FOR = 5.0
REFUSED_BOUND = LINK_BOUND + 4.0  # the longest wait of the back-off after five seconds of refusals
SILENCE_BOUND = LINK_BOUND + Smpp().response_timeout  # swallowed submits hold the whole window
SYSTEM_ERROR = 0x08
SILENCES: dict[str, dict[str, Any]] = {
    "black-hole": {"what": "all"},
    "submits-swallowed": {"what": "submits"},
    "answers-swallowed": {"what": "submits", "accept": True},
}


@pytest.mark.parametrize("how", ["rst", "fin", "unbind"])
async def test_link_dropped(stand: Stand, keep: Keep, how: str) -> None:
    each = stand.options.seconds
    chance = stand.options.chance(f"link-{how}")
    instants = [i * each + chance.uniform(0.1, 0.5) * each for i in range(3)]

    async def strike(load: Load) -> None:
        for instant in instants:
            await load.until(instant)
            await stand.fault("drop", how=how)
            load.strike(f"link ended by {how}", LINK_BOUND)

    keep(await stand.row(f"link-{how}", strike, 3 * each))


async def test_link_dropped_and_binds_refused(stand: Stand, keep: Keep) -> None:
    each = stand.options.seconds

    async def strike(load: Load) -> None:
        await load.until(0.2 * each)
        await stand.fault("refuse_binds", status=SYSTEM_ERROR)
        await stand.fault("drop", how="rst")
        load.strike("binds refused", None)
        await asyncio.sleep(REFUSED_FOR)
        await stand.lift("refuse_binds")
        load.strike("binds accepted again", REFUSED_BOUND)

    keep(await stand.row("link-refused", strike, 2 * each))


@pytest.mark.parametrize("name", list(SILENCES))
async def test_carrier_falls_silent(stand: Stand, keep: Keep, name: str) -> None:
    each = stand.options.seconds

    async def strike(load: Load) -> None:
        await load.until(0.2 * each)
        await stand.fault("black_hole", **SILENCES[name])
        load.unanswered += WINDOW
        load.strike("silent", None)
        await asyncio.sleep(SILENT_FOR)
        await stand.lift("black_hole")
        load.strike("answers again", SILENCE_BOUND)

    keep(await stand.row(name, strike, 2 * each))
