"""What every link engine does alike: the connection, TCP or TLS, the bind PDU, why one ended."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, TypedDict

from hermes.ports.link import LinkSettings, TlsSettings
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode
from hermes.smpp.pdu import Pdu

_READ_LIMIT: Final = 1 << 17
"""Octets: room for the longest PDU twice."""

BIND_COMMANDS: Final = {
    "trx": CommandId.bind_transceiver,
    "tx": CommandId.bind_transmitter,
    "rx": CommandId.bind_receiver,
}


class TlsArguments(TypedDict, total=False):
    """How asyncio is told of TLS; nothing of it for plain TCP."""

    ssl: ssl.SSLContext
    server_hostname: str


async def open_stream(
    settings: LinkSettings,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect; raises OSError, of which a failed TLS handshake is one."""
    tls = tls_arguments(settings)
    return await asyncio.open_connection(settings.host, settings.port, limit=_READ_LIMIT, **tls)


async def open_protocol(settings: LinkSettings, protocol: asyncio.Protocol) -> None:
    """Connect the protocol; raises OSError, of which a failed TLS handshake is one."""
    tls = tls_arguments(settings)
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: protocol, settings.host, settings.port, **tls)


def tls_arguments(settings: LinkSettings) -> TlsArguments:
    """What the settings say of TLS; raises OSError for a bad file."""
    tls = settings.tls
    if tls is None:
        return {}
    return {"ssl": tls_context(tls), "server_hostname": tls.server_name or settings.host}


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """A client context that verifies unless told not to; raises OSError for a bad file."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def bind_frame(settings: LinkSettings, sequence: int = 0) -> bytes:
    """The bind PDU (SMPP 3.4, 4.1); raises PduError for text that is not latin-1.

    Lengths are not checked: carriers exceed those of the specification.
    """
    fields: dict[str, object] = {
        "system_id": settings.system_id,
        "password": settings.password,
        "system_type": settings.system_type,
        "interface_version": 0x34,
        "addr_ton": settings.addr_ton,
        "addr_npi": settings.addr_npi,
        "address_range": settings.address_range,
    }
    return encode(Pdu(BIND_COMMANDS[settings.mode], 0, sequence, fields))


def closed_by_peer(octets: int) -> str:
    """Why a connection closed in the ordinary way ended; `octets` of a PDU had come."""
    if octets:
        return f"connection closed inside a PDU, {octets} octets of it came"
    return "connection closed by peer"
