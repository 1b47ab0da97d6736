"""The endpoint Restate calls: `python -m cascade.engines.restate_server --port N --steps M:F`.

One process, one event loop, HTTP/2 without TLS. Each version of the workflow has a path of its own
(`/v1`), which is what Restate remembers; `/v1/health` answers 200 to anybody, all else wants
Restate's signature if an identity key is given.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import restate
import restate.server
import structlog
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP2Settings
from granian.server.embed import Server

from cascade.engines import restate_workflow
from cascade.engines.process import find_steps, in_one_line
from cascade.engines.restate_workflow import WorkflowSettings
from cascade.steps import CascadeSteps
from hermes import logs
from hermes.core.errors import ConfigError

Builder = Callable[[CascadeSteps, WorkflowSettings], restate.Workflow]
App = Callable[[Any, Any, Any], Any]

# the versions this endpoint serves, the newest last; one is removed when nothing of it waits
BUILDERS: Final[Mapping[int, Builder]] = {restate_workflow.VERSION: restate_workflow.build_workflow}
MAX_STREAMS: Final = 10_000  # an invocation that is not suspended holds one


@dataclass(frozen=True, slots=True)
class Place:
    """Where the endpoint listens; `identity_keys` are Restate's public keys (`publickeyv1_...`)."""

    host: str
    port: int
    identity_keys: tuple[str, ...] = ()


async def serve(
    place: Place,
    steps: CascadeSteps,
    settings: WorkflowSettings,
    builders: Mapping[int, Builder] = BUILDERS,
) -> None:
    """Serve until SIGTERM or SIGINT. Invocations under way go on elsewhere or later.

    Raises ConfigError if somebody listens there.
    """
    check_free(place)
    server = Server(
        mounted(steps, settings, place.identity_keys, builders),
        address=place.host,
        port=place.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.auto,  # probes speak HTTP/1
        http2_settings=HTTP2Settings(max_concurrent_streams=MAX_STREAMS),
        websockets=False,
        log_enabled=False,
    )
    loop = asyncio.get_running_loop()
    # the SDK takes the handler of SIGTERM at the first request, and calls only its own hooks
    for number in (signal.SIGTERM, signal.SIGINT):
        restate.server.install_shutdown_hook(loop, server.stop, number)
    structlog.get_logger().info("cascade_endpoint.listening", port=place.port)
    await server.serve()


def check_free(place: Place) -> None:
    """Make sure that nobody listens there. Raises ConfigError.

    granian sets SO_REUSEPORT: it would take half of the calls from an endpoint of older code.
    """
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((place.host, place.port))
        except OSError as error:
            raise ConfigError(f"cannot listen on {place.host}:{place.port}: {error}") from error


def mounted(
    steps: CascadeSteps,
    settings: WorkflowSettings,
    identity_keys: tuple[str, ...],
    builders: Mapping[int, Builder] = BUILDERS,
) -> App:
    """Give the ASGI app with each version under its path; what names no version is 404."""
    apps: dict[str, App] = {
        f"v{version}": restate.app([build(steps, settings)], identity_keys=[*identity_keys])
        for version, build in builders.items()
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        version = scope["path"].split("/", 2)[1]
        if version in apps:
            await apps[version](scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    return app


async def run(
    place: Place,
    steps: AbstractAsyncContextManager[CascadeSteps],
    settings: WorkflowSettings,
    builders: Mapping[int, Builder],
) -> None:
    """Open the steps and serve."""
    async with steps as opened:
        await serve(place, opened, settings, builders)


def main(builders: Mapping[int, Builder] = BUILDERS) -> None:
    """Run until SIGTERM, with the versions given."""
    parser = argparse.ArgumentParser(prog="cascade.engines.restate_server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--steps", required=True, help="module:function that opens the steps")
    parser.add_argument("--steps-argument", default="", help="what that function is called with")
    parser.add_argument("--identity-key", action="append", default=[], help="publickeyv1_...")
    parser.add_argument("--settings", default="{}", help="WorkflowSettings as JSON")
    arguments = parser.parse_args()
    logs.configure("cascade-endpoint")
    for name in ("restate.server", "restate.server_context"):
        logging.getLogger(name).addFilter(in_one_line)
    settings = msgspec.json.decode(arguments.settings, type=WorkflowSettings)
    place = Place(arguments.host, arguments.port, tuple(arguments.identity_key))
    steps = find_steps(arguments.steps)(arguments.steps_argument)
    uvloop.new_event_loop().run_until_complete(run(place, steps, settings, builders))
    # asyncio.run would wait for handlers that swallow their cancellation; Restate repeats them
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
