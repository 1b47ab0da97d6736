"""Port of accepted messages: commit them, show them, and know the tenants that own them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from hermes.core.attempt import Attempt
from hermes.core.event import EventKind
from hermes.core.message import Message
from hermes.core.plan import Plan
from hermes.core.state import MessageState
from hermes.core.units import TrafficClass


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A valid and admitted message to commit.

    `key` is the tenant's Idempotency-Key and `body_hash` a digest of the request it stands for;
    the items of a batch request take one key each (say, its key and their index).
    """

    message: Message
    api_key: str | None = None
    key: str | None = None
    body_hash: bytes = b""


class Committed(msgspec.Struct, frozen=True, tag=True):
    """The message is in the ledger: the answer is 202, whatever comes."""

    id: UUID


class Replayed(msgspec.Struct, frozen=True, tag=True):
    """The key was used before by the same request: answer with the message it made."""

    id: UUID


class Conflict(msgspec.Struct, frozen=True, tag=True):
    """The key was used before by another request: 422. `id` is the message that one made."""

    id: UUID


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The ledger cannot hold this message (a NUL in its text, say): nothing was written."""

    why: str


CommitResult = Committed | Replayed | Conflict | Refused


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a message's trail."""

    id: UUID
    step: int
    n: int
    kind: EventKind
    at: datetime
    recorded_at: datetime
    host: str
    actor: str
    segment: int | None = None
    carrier: str | None = None
    carrier_message_id: str | None = None
    reason_code: str | None = None
    reason_text: str | None = None


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A message as its tenant sees it. What was erased (to, sender, text, plan) is None.

    `attempts` are in order of step and n, `events` in order of time.
    """

    id: UUID
    tenant: str
    state: MessageState
    traffic: TrafficClass
    segments: int
    success: str
    accepted_at: datetime
    expires_at: datetime
    send_at: datetime | None = None
    done_at: datetime | None = None
    reference: str | None = None
    reason_code: str | None = None
    reason_text: str | None = None
    possible_duplicate: bool = False
    next_at: datetime | None = None
    next_action: str | None = None
    to: str | None = None
    sender: str | None = None
    text: str | None = None
    plan: Plan | None = None
    attempts: tuple[Attempt, ...] = ()
    events: tuple[EventView, ...] = ()


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that may act for a tenant; `hash` = HMAC of its secret with the pepper."""

    id: str
    tenant: str
    hash: bytes
    mode: Literal["live", "test"] = "live"
    is_suspended: bool = False
    expires_at: datetime | None = None


class MessageStore(Protocol):
    """Messages, their bodies and idempotency keys, tenants and keys.

    Every method is one transaction and may be called again after StoreUnavailable, which each of
    them raises when the ledger cannot be reached.
    """

    async def commit(self, batch: Sequence[Submission]) -> list[CommitResult]:
        """Write messages; give one result for each, in order.

        Requests of strangers share a batch: a key that was used, or a row the ledger refuses,
        takes only its own message out. `send_at` in the future puts the message on the ledger
        clock, otherwise it is admitted again if nobody takes it in.
        """
        ...

    async def find(self, tenant: str, message: UUID) -> MessageView | None:
        """Give a message with its attempts and trail; None if this tenant has no such message."""
        ...

    async def page(self, tenant: str, limit: int, before: UUID | None = None) -> list[MessageView]:
        """Give a tenant's messages older than `before`, newest first, without trails."""
        ...

    async def api_keys(self, ids: Sequence[str] | None = None) -> list[ApiKey]:
        """Give the keys with these ids that are neither revoked nor expired; None: all of them."""
        ...

    async def create_tenant(self, tenant: str, name: str = "") -> bool:
        """Make a tenant; False if it is there already. Raises BadId."""
        ...

    async def create_key(self, key: ApiKey, label: str = "") -> bool:
        """Make a key; False if that id is there already, or the tenant is not."""
        ...
