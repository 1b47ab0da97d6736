"""Opens the cascade engine of a host from its wiring."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp

from cascade.engine import CascadeEngine
from cascade.engines.restate_admin import RestateOperations, TellsResult
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


def open_engine(wiring: Wiring, steps: TellsResult) -> Engine:
    """Open the engine; `steps` hear of a cascade that is failed by hand. It may be away."""
    assert wiring.restate_ingress_url is not None
    assert wiring.restate_admin_url is not None
    session = aiohttp.ClientSession()
    http = RestateHttp(session, wiring.restate_ingress_url, wiring.restate_admin_url)
    return Engine(session, RestateEngine(http), RestateOperations(http, steps))
