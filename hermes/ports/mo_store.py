"""Port of messages from handsets (MO): whole ones kept, parts that wait found again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

import msgspec

from hermes.core.event import Source
from hermes.ports.inbound_store import Inbound


class Mo(msgspec.Struct, frozen=True, kw_only=True):
    """One message from a handset, as its parts say it together.

    `id` is that of its first PDU. `text` is None for binary data; `octets` are those behind the
    user data header, `missing` the numbers of the parts that did not come in time.
    """

    id: UUID
    carrier: str
    source: str
    destination: str
    text: str | None
    octets: bytes
    data_coding: int
    received_at: datetime
    total: int = 1
    missing: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()


class WholeMo(NamedTuple):
    """A message and the ids of all its PDUs, none of which is needed any more."""

    mo: Mo
    rows: tuple[UUID, ...]


class MoStore(Protocol):
    """Messages from handsets. Each is one transaction that may be repeated; raise
    StoreUnavailable."""

    async def add(self, whole: Sequence[WholeMo], source: Source) -> None:
        """Keep messages with their event `inbound`, told by `source`; mark their PDUs."""
        ...

    async def hold(self, rows: Sequence[UUID]) -> None:
        """Note that PDUs are parts that wait for others."""
        ...

    async def held(self, partitions: Sequence[int]) -> list[Inbound]:
        """Give the parts that wait, oldest first."""
        ...

    async def latest(self, limit: int) -> list[Mo]:
        """Give the newest messages, newest first."""
        ...
