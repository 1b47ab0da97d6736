"""The ledger in memory: messages, attempts and events under the same folds as the real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from msgspec.structs import replace

from hermes.core.attempt import Attempt
from hermes.core.event import Event
from hermes.core.ids import BadId, is_name
from hermes.core.outcome import MessageRow
from hermes.core.state import FINAL_MESSAGE
from hermes.ports.inbound_store import Inbound
from hermes.ports.message_store import (
    ApiKey,
    CommitResult,
    Committed,
    Conflict,
    EventView,
    MessageView,
    Refused,
    Replayed,
    Submission,
)
from hermes.ports.mo_store import Mo


class MemoryLedger:
    """The rows that the stores of one ledger share; `now` is its clock.

    `outbox` lists (message, state) for every final state; `cascade_owners` the messages an engine
    took over.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.submissions: dict[UUID, Submission] = {}
        self.rows: dict[UUID, MessageRow] = {}
        self.attempts: dict[UUID, list[Attempt]] = {}
        self.events: dict[UUID, dict[UUID, EventView]] = {}
        self.keys: dict[tuple[str, str], tuple[UUID, bytes]] = {}
        self.tenants: dict[str, str] = {}
        self.api_keys: dict[str, ApiKey] = {}
        self.cascade_owners: dict[UUID, str] = {}
        self.outbox: list[tuple[UUID, str]] = []
        self.inbound: dict[UUID, Inbound] = {}
        self.processed: dict[UUID, str] = {}
        self.parts: set[UUID] = set()
        self.mo: dict[UUID, Mo] = {}

    def after(self, seconds: float) -> datetime:
        """Give the ledger's time so many seconds from now."""
        return self.now() + timedelta(seconds=seconds)

    def turn(self, row: MessageRow) -> None:
        """Write a row, and the outbox if that ends the message."""
        if row.state in FINAL_MESSAGE and row.state != self.rows[row.id].state:
            self.outbox.append((row.id, row.state))
        self.rows[row.id] = row

    def tell(self, message: UUID, event: Event) -> bool:
        """Store an event; False if it was told before."""
        trail = self.events.setdefault(message, {})
        if event.id in trail:
            return False
        trail[event.id] = EventView(
            id=event.id,
            step=event.step,
            n=event.attempt_n,
            kind=event.kind,
            at=event.at,
            recorded_at=self.now(),
            host=event.source.host,
            actor=event.source.actor,
            segment=event.segment,
            carrier=event.carrier,
            carrier_message_id=event.carrier_message_id,
            reason_code=event.reason.code if event.reason else None,
            reason_text=(event.reason.text or None) if event.reason else None,
        )
        return True


class MemoryMessageStore:
    """Messages, tenants and keys in memory (port: MessageStore)."""

    def __init__(self, ledger: MemoryLedger, readmit_after_s: float = 10.0) -> None:
        self._ledger = ledger
        self._readmit_after_s = readmit_after_s

    async def commit(self, batch: Sequence[Submission]) -> list[CommitResult]:
        """Write messages; a used key or a bad row takes only its own message out."""
        return [self._commit(item) for item in batch]

    def _commit(self, item: Submission) -> CommitResult:
        ledger, message = self._ledger, item.message
        if "\0" in message.text:
            return Refused("a text with NUL")
        if item.key is not None:
            used = ledger.keys.setdefault((message.tenant, item.key), (message.id, item.body_hash))
            if used[0] != message.id:
                return Replayed(used[0]) if used[1] == item.body_hash else Conflict(used[0])
        is_later = message.send_at is not None and message.send_at > ledger.now()
        ledger.submissions.setdefault(message.id, item)
        row = MessageRow(
            id=message.id,
            tenant=message.tenant,
            traffic=message.traffic,
            success=",".join(step.success for step in message.plan.steps),
            expires_at=message.expires_at,
            next_at=message.send_at if is_later else ledger.after(self._readmit_after_s),
            next_action="start" if is_later else "admit",
        )
        ledger.rows.setdefault(message.id, row)
        return Committed(message.id)

    async def find(self, tenant: str, message: UUID) -> MessageView | None:
        """Give a message with its attempts and trail; None if this tenant has no such message."""
        row = self._ledger.rows.get(message)
        if row is None or row.tenant != tenant:
            return None
        shown = [replace(a, token=None) for a in self._ledger.attempts.get(message, ())]
        events = self._ledger.events.get(message, {}).values()
        return replace(
            self._view(row),
            attempts=tuple(sorted(shown, key=lambda a: (a.step, a.n))),
            events=tuple(sorted(events, key=lambda e: (e.at, e.recorded_at, e.id))),
        )

    def _view(self, row: MessageRow) -> MessageView:
        message = self._ledger.submissions[row.id].message
        return MessageView(
            id=row.id,
            tenant=row.tenant,
            state=row.state,
            traffic=row.traffic,
            segments=message.segments,
            success=row.success,
            accepted_at=message.accepted_at,
            expires_at=row.expires_at,
            send_at=message.send_at,
            done_at=row.done_at,
            reference=message.reference,
            reason_code=row.reason_code,
            reason_text=row.reason_text,
            possible_duplicate=row.possible_duplicate,
            next_at=row.next_at,
            next_action=row.next_action,
            to=message.to,
            sender=message.sender,
            text=message.text,
            plan=message.plan,
        )

    async def page(self, tenant: str, limit: int, before: UUID | None = None) -> list[MessageView]:
        """Give a tenant's messages older than `before`, newest first, without trails."""
        rows = [
            row
            for row in self._ledger.rows.values()
            if row.tenant == tenant and (before is None or row.id < before)
        ]
        rows.sort(key=lambda row: row.id, reverse=True)
        return [self._view(row) for row in rows[:limit]]

    async def api_keys(self, ids: Sequence[str] | None = None) -> list[ApiKey]:
        """Give the keys with these ids that are not expired; None: all of them."""
        now = self._ledger.now()
        return [
            key
            for name, key in sorted(self._ledger.api_keys.items())
            if (ids is None or name in ids) and (key.expires_at is None or key.expires_at > now)
        ]

    async def create_tenant(self, tenant: str, name: str = "") -> bool:
        """Make a tenant; False if it is there already. Raises BadId."""
        if not is_name(tenant):
            raise BadId("tenant", tenant)
        if tenant in self._ledger.tenants:
            return False
        self._ledger.tenants[tenant] = name
        return True

    async def create_key(self, key: ApiKey, label: str = "") -> bool:
        """Make a key; False if that id is there already, or the tenant is not."""
        del label
        if key.tenant not in self._ledger.tenants or key.id in self._ledger.api_keys:
            return False
        self._ledger.api_keys[key.id] = key
        return True
