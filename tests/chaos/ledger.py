"""How the ledger says messages stand: never what loss is judged by, but what is left open is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import psycopg

from hermes.core.ids import decode_message_id, encode_message_id
from hermes.testing.daemon_process import FINAL, DaemonProcess

OPEN = """
select wanted.id, coalesce(m.state, 'absent')
from unnest(%s::uuid[]) as wanted(id) left join message m on m.id = wanted.id
where m.state is null or m.state <> all(%s)"""


def open_of(daemon: DaemonProcess, names: Sequence[str]) -> dict[str, str] | None:
    """Give those messages that are not final, with their states; None while the ledger is away."""
    ids = [decode_message_id(name) for name in names]
    try:
        with psycopg.connect(daemon.wiring["postgres_dsn"], connect_timeout=5) as connection:
            rows = connection.execute(OPEN, (ids, list(FINAL))).fetchall()
    except psycopg.Error:
        return None
    return {encode_message_id(found): str(state) for found, state in rows}


def summary(states: dict[str, str]) -> str:
    """Say how many are in which state."""
    counts = Counter(states.values()).most_common()
    return ", ".join(f"{count} {state}" for state, count in counts)
