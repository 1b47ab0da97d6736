"""What the three kinds of stage share: a message meant for another kind changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hermes.stages.effects import Effects, Warn

if TYPE_CHECKING:
    from hermes.stages.effects import Process, Tag


class Stage:
    """Base of the stage cores."""

    kind: ClassVar[str] = "stage"

    def on_stray(self, message: str, process: Process, tag: Tag) -> Effects:
        """A message this kind of stage has no method for, such as an ask sent to a consumer."""
        return (Warn(f"{self.kind} received a stray {message} from {process} for {tag}"),)
