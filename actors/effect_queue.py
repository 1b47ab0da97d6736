"""Carries effects out first in, first out, whoever feeds the core meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hermes.stages.effects import Effect, Effects


class EffectQueue:
    """Effects a callback causes queue behind those decided before it; never nested."""

    def __init__(self, perform: Callable[[Effect], None]) -> None:
        self.perform = perform
        self.waiting: deque[Effect] = deque()
        self.busy = False

    def obey(self, effects: Effects) -> None:
        """Carry effects out, or queue them when a carrying out is under way."""
        self.waiting.extend(effects)
        if self.busy:
            return
        self.busy = True
        try:
            while self.waiting:
                self.perform(self.waiting.popleft())
        finally:
            self.busy = False
