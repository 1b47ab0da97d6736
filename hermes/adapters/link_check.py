"""Binds once and sends no message, to see what the peer says."""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import replace
from typing import Any

import msgspec

from hermes.adapters.link_settings import settings_of
from hermes.adapters.links import link_of
from hermes.core.carrier import Bind
from hermes.ports.link import BindRefused, Bound, Inbound, Link, LinkEvent, Problem, RttMeasured
from hermes.settings.tree import Smpp
from hermes.smpp.status import BindRetry, CommandStatus, classify_bind, status_name

ENQUIRE_AFTER = 0.05
HINTS = {
    BindRetry.OLD_SESSION: "a session of this account is still open, such as the daemon's own",
    BindRetry.CREDENTIALS: "check system_id and password; carriers lock accounts after a few tries",
    BindRetry.NORMAL: "the carrier is not ready, or wants other settings",
}


class BindReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one bind gave. Times are in milliseconds; `reason` says what went wrong."""

    bind: str
    address: str
    system_id: str
    mode: str
    engine: str
    tls: bool
    is_bound: bool = False
    bind_ms: float | None = None
    rtt_ms: float | None = None
    peer: str = ""
    deliveries: int = 0
    problems: tuple[str, ...] = ()
    reason: str = ""
    hint: str = ""


async def check_bind(bind: Bind, smpp: Smpp) -> BindReport:
    """Bind, ask once with enquire_link, unbind; what the carrier delivers meanwhile it keeps."""
    settings = replace(settings_of(bind, smpp), enquire_interval=ENQUIRE_AFTER)
    report = BindReport(
        bind=bind.id,
        address=f"{bind.host}:{bind.port}",
        system_id=bind.system_id,
        mode=bind.mode,
        engine=bind.engine,
        tls=settings.tls is not None,
    )
    events: list[LinkEvent] = []
    delivered: list[Inbound] = []
    came = asyncio.Event()

    def on_event(event: LinkEvent) -> None:
        events.append(event)
        came.set()

    def on_deliver(inbound: Inbound) -> None:
        delivered.append(inbound)
        link.answer(inbound, CommandStatus.ESME_RX_T_APPN)  # the carrier keeps it for us

    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        link: Link = link_of(bind.engine, settings, on_deliver, on_event)
        life = asyncio.ensure_future(link.run())
        try:
            await until(Bound, life, events, came)
            bind_ms = (loop.time() - began) * 1000
            await until(RttMeasured, life, events, came)
            await link.drain(1.0)
            await life
        finally:
            life.cancel()
            await asyncio.wait([life])
    except BindRefused as error:
        reason = f"bind refused: {status_name(error.status)} (0x{error.status:08x})"
        hint = HINTS[classify_bind(error.status)]
        return msgspec.structs.replace(report, reason=reason, hint=hint)
    except TimeoutError:
        reason = f"the bind was not answered within {settings.bind_timeout:g} s"
        return msgspec.structs.replace(report, reason=reason)
    except (OSError, ValueError) as error:
        return msgspec.structs.replace(report, reason=words_of(error))
    return told(report, events, len(delivered), round(bind_ms, 1))


def words_of(error: OSError | ValueError) -> str:
    """Give what went wrong, in the system's own words where it has some."""
    if isinstance(error, ssl.SSLError) or not isinstance(error, OSError) or error.errno is None:
        return str(error) or type(error).__name__
    return os.strerror(error.errno)


async def until(
    kind: type[LinkEvent], life: asyncio.Future[str], events: list[LinkEvent], came: asyncio.Event
) -> None:
    """Wait for an event of a kind. Raises what ended the life, OSError where it just ended."""
    while not any(isinstance(event, kind) for event in events):
        came.clear()
        waiting: asyncio.Future[Any] = asyncio.ensure_future(came.wait())
        await asyncio.wait((waiting, life), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if life.done():
            raise ConnectionResetError(await life)


def told(report: BindReport, events: list[LinkEvent], deliveries: int, ms: float) -> BindReport:
    """Give the report of a bind that was accepted."""
    peer = next(event.system_id for event in events if isinstance(event, Bound))
    rtt = next(event.seconds for event in events if isinstance(event, RttMeasured))
    return msgspec.structs.replace(
        report,
        is_bound=True,
        bind_ms=ms,
        rtt_ms=round(rtt * 1000, 2),
        peer=peer,
        deliveries=deliveries,
        problems=tuple(event.reason for event in events if isinstance(event, Problem)),
    )
