"""Opens the cascade engine of a host from its wiring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from cascade.engine import CascadeEngine, Health, Parked
from cascade.engines.restate_admin import RestateOperations, TellsResult, Version
from cascade.engines.restate_client import RestateEngine
from cascade.engines.restate_http import RestateHttp
from hermes.settings.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine and its operations, over connections of their own; close them in the end."""

    session: aiohttp.ClientSession
    cascades: CascadeEngine
    operations: RestateOperations

    async def close(self) -> None:
        """Close the connections."""
        await self.session.close()


class CascadeOperator:
    """The desk behind `hermes cascade` (`hermes.admin.cascades.CascadeDesk`)."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def health(self) -> Health:
        """Look whether the engine takes work."""
        return await self.engine.cascades.health()

    async def versions(self) -> Sequence[Version]:
        """Give the registered versions."""
        return await self.engine.operations.versions()

    async def parked(self, limit: int) -> Sequence[Parked]:
        """Give parked cascades."""
        return await self.engine.operations.parked(limit)

    async def resume(self, mid: str) -> bool:
        """Try a parked cascade again."""
        return await self.engine.operations.resume(mid)

    async def fail(self, mid: str, reason: str) -> bool:
        """End a parked cascade as failed."""
        return await self.engine.operations.fail(mid, reason)


def open_engine(wiring: Wiring, steps: TellsResult) -> Engine:
    """Open the engine; `steps` hear of a cascade that is failed by hand. It may be away."""
    assert wiring.restate_ingress_url is not None
    assert wiring.restate_admin_url is not None
    session = aiohttp.ClientSession()
    http = RestateHttp(session, wiring.restate_ingress_url, wiring.restate_admin_url)
    return Engine(session, RestateEngine(http), RestateOperations(http, steps))
