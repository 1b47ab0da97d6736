"""A plain model of a producer with the demand dispatcher whose buffered events never starve.

Written down from the rules, apart from the cores: one list of consumers, one list of events.
It says what a producer trace has to look like where gen_stage itself lets the buffer starve.
"""

from __future__ import annotations

from typing import Any


class ProducerModel:
    """Feed it the operations of a trace; each returns the step's `out`."""

    def __init__(self, buffer_size: int, buffer_keep: str) -> None:
        self.size, self.keep = buffer_size, buffer_keep
        self.wanted: list[list[int]] = []  # [tag, count], highest count first
        self.buffer: list[int] = []
        self.owed = 0  # demanded upstream and not emitted

    def step(self, operation: list[Any]) -> list[list[Any]]:
        match operation:
            case ["subscribe", tag]:
                self.wanted.append([tag, 0])
                return self._settle()
            case ["ask", tag, count]:
                open_before = next(want[1] for want in self.wanted if want[0] == tag)
                self._place(tag, open_before + count)
                return self._settle()
            case ["cancel", tag]:
                self.wanted = [want for want in self.wanted if want[0] != tag]
                told = [["cancel", tag, "done"], ["handle_cancel", "cancel", ":done"]]
                return told + self._settle()
            case ["emit", events]:
                return self._emit(events)
            case _:
                raise AssertionError(f"unknown operation {operation}")

    def _emit(self, events: list[int]) -> list[list[Any]]:
        self.owed = max(0, self.owed - len(events))
        out, rest = self._share(events)
        self.buffer += rest
        lost = max(0, len(self.buffer) - self.size)
        if not lost:
            return out
        self.buffer = self.buffer[lost:] if self.keep == "last" else self.buffer[: self.size]
        return [*out, ["discarded", lost]]

    def _settle(self) -> list[list[Any]]:
        out, self.buffer = self._share(self.buffer)
        more = sum(count for _, count in self.wanted) - self.owed
        if more <= 0:
            return out
        self.owed += more
        return [*out, ["handle_demand", more]]

    def _share(self, events: list[int]) -> tuple[list[list[Any]], list[int]]:
        out: list[list[Any]] = []
        while events and self.wanted and self.wanted[0][1]:
            tag, count = self.wanted[0]
            out.append(["events", tag, events[:count]])
            self._place(tag, count - len(events[:count]))
            events = events[count:]
        return out, events

    def _place(self, tag: int, count: int) -> None:
        self.wanted = [want for want in self.wanted if want[0] != tag] + [[tag, count]]
        self.wanted.sort(key=lambda want: -want[1])  # stable: equal counts keep their order
