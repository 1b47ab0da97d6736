"""A parent with one child that tells the test all it hears of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from thespian.actors import ActorAddress, ActorSystemMessage, PoisonMessage

from hermes.actor import HermesActor
from hermes.actor_system import ActorHost

INCARNATION = 7


@dataclass(frozen=True, slots=True)
class StartChild:
    """Answered with the child's pid; whoever sends it hears all that follows."""

    cls: type[HermesActor]
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Relay:
    """Send `message` to your child."""

    message: object


@dataclass(frozen=True, slots=True)
class KillChild:
    """Answered with what kill_child returns."""


class Parent(HermesActor):
    """Its child is at `top/child`."""

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.child_pid = 0
        self.child: ActorAddress
        self.watcher: ActorAddress

    def receiveMsg_StartChild(self, start: StartChild, sender: ActorAddress) -> None:
        self.watcher = sender
        self.child, self.child_pid = self.start_child("child", start.cls, start.args, INCARNATION)
        self.send(sender, self.child_pid)

    def receiveMsg_Relay(self, relay: Relay, _sender: ActorAddress) -> None:
        self.send(self.child, relay.message)

    def receiveMsg_KillChild(self, _message: KillChild, sender: ActorAddress) -> None:
        self.send(sender, self.kill_child(self.child_pid))

    def receiveMsg_PoisonMessage(self, message: PoisonMessage, _sender: ActorAddress) -> None:
        self.send(self.watcher, message)

    def receiveMsg_object(self, message: object, _sender: ActorAddress) -> None:
        if not isinstance(message, ActorSystemMessage):
            self.send(self.watcher, message)


@dataclass(frozen=True, slots=True)
class Child:
    """The child of a fresh parent, as the test sees it."""

    host: ActorHost
    parent: ActorAddress
    pid: int

    def tell(self, message: object) -> None:
        self.host.tell(self.parent, Relay(message))

    def ask(self, message: object, timeout_s: float = 5.0) -> Any:
        """Send it a message; return the next thing the parent hears, None after the timeout."""
        return self.host.ask(self.parent, Relay(message), timeout_s)

    def kill(self) -> list[Any]:
        """Have the parent kill it; return the next two things heard."""
        return [self.host.ask(self.parent, KillChild(), 5.0), self.host.listen(5.0)]


def start_child(host: ActorHost, cls: type[HermesActor], **args: object) -> Child:
    """Start a parent and its child."""
    parent = host.create(Parent, {"path": ("top",)})
    return Child(host, parent, host.ask(parent, StartChild(cls, args), 5.0))
