"""Opens the TCP or TLS connection of an SMPP session and words why one ended."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from hermes.ports.link import LinkSettings, TlsSettings

_READ_LIMIT: Final = 1 << 17
"""Octets: room for the longest PDU twice."""


async def open_stream(
    settings: LinkSettings,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect; raises OSError, of which a failed TLS handshake is one."""
    if settings.tls is None:
        return await asyncio.open_connection(settings.host, settings.port, limit=_READ_LIMIT)
    return await asyncio.open_connection(
        settings.host,
        settings.port,
        limit=_READ_LIMIT,
        ssl=tls_context(settings.tls),
        server_hostname=settings.tls.server_name or settings.host,
    )


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """A client context that verifies unless told not to; raises OSError for a bad file."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def closed_by_peer(error: asyncio.IncompleteReadError) -> str:
    """Why reading a PDU ended early."""
    if error.partial:
        return f"connection closed inside a PDU, {len(error.partial)} octets of it came"
    return "connection closed by peer"
