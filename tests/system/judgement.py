"""Judges a run from the carrier's log against the client's list of 202s, never from our tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from hermes.testing.daemon_process import CarrierProcess, Client


@dataclass(frozen=True)
class Verdict:
    """Messages that never came, came twice without a mark, or did not end as delivered."""

    accepted: int
    lost: tuple[str, ...]
    unmarked: tuple[str, ...]
    not_delivered: tuple[tuple[str, str], ...]
    duplicates: int
    most_extra: int

    def faults(self) -> list[str]:
        """Give a sentence for everything wrong."""
        said = [f"lost {name}" for name in self.lost]
        said += [f"{name} came twice without a mark" for name in self.unmarked]
        said += [f"{name} ended {state}" for name, state in self.not_delivered]
        if self.duplicates > self.most_extra:
            said.append(f"{self.duplicates} duplicates, {self.most_extra} are the bound")
        return said


def judge(
    carrier: CarrierProcess, client: Client, views: dict[str, dict[str, Any]], most_extra: int
) -> Verdict:
    """Judge; `most_extra` is the number of segments in flight on the links that died."""
    came = Counter(
        line["destination"]
        for line in carrier.log()
        if line["event"] == "submit" and line.get("message_id")
    )
    numbers = {name: to.removeprefix("+") for name, to in client.accepted.items()}
    return Verdict(
        accepted=len(numbers),
        lost=tuple(name for name, number in numbers.items() if came[number] == 0),
        unmarked=tuple(
            name
            for name, number in numbers.items()
            if came[number] > 1 and not views[name]["possible_duplicate"]
        ),
        not_delivered=tuple(
            (name, view["state"]) for name, view in views.items() if view["state"] != "delivered"
        ),
        duplicates=sum(came[number] - 1 for number in numbers.values() if came[number] > 1),
        most_extra=most_extra,
    )
