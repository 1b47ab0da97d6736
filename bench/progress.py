"""Shows what the bench does while it does it: one line that changes, or lines in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.status import Status

PLAIN_EVERY: Final = 5.0


class Progress:
    """Writes to stderr, so that `--json` alone is on stdout."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.status: Status | None = None
        self.prefix = ""
        self.said_at = 0.0

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.status = self.console.status("")
            self.status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.status is not None:
            self.status.stop()

    def begin(self, title: str) -> None:
        """A row begins."""
        self.prefix = title
        self.console.print(title, style="bold", markup=False)
        self.said_at = 0.0

    def say(self, text: str) -> None:
        """Show a step: on a terminal at once, elsewhere every 5 s."""
        if self.status is not None:
            self.status.update(text)
        elif time.monotonic() - self.said_at > PLAIN_EVERY:
            self.said_at = time.monotonic()
            self.console.print(f"  {text}", markup=False)
