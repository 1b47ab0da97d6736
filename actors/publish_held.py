"""Publishes what the ledger clock handed out, again while the belt is away and the row is ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hermes.core.errors import HermesError, StoreUnavailable
from hermes.ports.stream import Publication, Publisher, PublishResult

RETRY_EVERY = 0.5


async def publish_held(
    belt: Publisher,
    items: Sequence[Publication],
    within_s: float,
    retry_s: float = RETRY_EVERY,
) -> list[PublishResult]:
    """Publish; what found no belt goes again, under the same id, for `within_s` seconds at most.

    Without that a publication lost to a blink of the belt waits until its row is due again.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    results = list(await belt.publish_batch(items))
    while with_error(results, StoreUnavailable) and loop.time() + retry_s <= deadline:
        await asyncio.sleep(retry_s)
        await publish_again(belt, items, results, StoreUnavailable)
    return results


def with_error(results: Sequence[PublishResult], error: type[HermesError]) -> list[int]:
    """Give the places of what ended with an error."""
    return [i for i, result in enumerate(results) if isinstance(result, error)]


async def publish_again(
    belt: Publisher,
    items: Sequence[Publication],
    results: list[PublishResult],
    error: type[HermesError],
) -> None:
    """Publish what ended with an error once more; its new results take the place of the old."""
    lost = with_error(results, error)
    again = await belt.publish_batch([items[i] for i in lost])
    for i, result in zip(lost, again, strict=True):
        results[i] = result
