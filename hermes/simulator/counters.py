"""Counts of what happened since the start or the last reset."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """Totals over all sessions; `refused` and `answers` are by command_status in hexadecimal."""

    connections: int = 0
    binds: int = 0
    binds_refused: int = 0
    submits: int = 0
    accepted: int = 0
    responses: int = 0
    responses_lost: int = 0
    receipts_sent: int = 0
    mos_sent: int = 0
    acknowledged: int = 0
    retries: int = 0
    resent_after_loss: int = 0
    given_up: int = 0
    enquire_links: int = 0
    enquire_links_sent: int = 0
    enquire_links_answered: int = 0
    nacks_sent: int = 0
    problems: int = 0
    ignored: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)


def tally(counts: dict[str, int], status: int) -> None:
    """Count one command_status."""
    name = f"0x{status:02x}"
    counts[name] = counts.get(name, 0) + 1
