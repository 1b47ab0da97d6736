"""Base of the leaves that are stages: finds others in the tree, describes itself, has metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from thespian.actors import ActorAddress

from actors.commands import (
    Ask,
    Cancel,
    Cancelled,
    Describe,
    Description,
    Events,
    Subscribe,
)
from actors.consumer_shell import ConsumerShell
from actors.io_loop import AsyncActor
from actors.producer_shell import ProducerShell
from hermes import crash
from hermes.actor_messages import Here, TreePath, Whereis
from hermes.metrics import Metrics, Pusher
from hermes.settings.wiring import Wiring

PUSH_EVERY = 1.0
ANSWER_WITHIN = 2.0


class StageActor(AsyncActor):
    """A leaf with the host's wiring; a subclass sets `producer`, `consumer` or both."""

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.wiring: Wiring = self.args["wiring"]
        self.producer: ProducerShell | None = None
        self.consumer: ConsumerShell | None = None
        self.metrics: Metrics
        self.questions: dict[TreePath, list[asyncio.Future[Here]]] = {}

    @property
    def name(self) -> str:
        """The path as one word, without the root."""
        return "/".join(self.path[1:])

    def start_metrics(self) -> None:
        """Begin to push snapshots; first thing in `on_begin`."""
        crash.arm(self.wiring.run_dir)
        self.metrics = Metrics()
        self.metrics.actor_up.labels(self.name).set(1)
        pusher = Pusher(self.wiring.metrics_socket, self.name, self.metrics)
        _ = self.spawn(self.push_forever(pusher))

    async def push_forever(self, pusher: Pusher) -> None:
        """Push a snapshot each second."""
        while True:
            pusher.push()
            await asyncio.sleep(PUSH_EVERY)

    def describe(self) -> dict[str, Any]:
        """Give short facts for people; override."""
        return {}

    async def whereis(self, path: TreePath) -> Here:
        """Find who lives at `path`; pid None when nobody answers within 2 s."""
        if self.parent is None:
            return Here(path, None, None)
        answer: asyncio.Future[Here] = asyncio.get_running_loop().create_future()
        self.questions.setdefault(path, []).append(answer)
        self.send_later(self.parent, Whereis(path))
        try:
            return await asyncio.wait_for(answer, ANSWER_WITHIN)
        except TimeoutError:
            return Here(path, None, None)

    def on_here(self, msg: Here) -> None:
        """An answer to `whereis`."""
        for answer in self.questions.pop(msg.path, []):
            if not answer.done():
                answer.set_result(msg)

    def receiveMsg_Here(self, msg: Here, _sender: ActorAddress) -> None:
        """Somebody was found, or not."""
        self.to_loop(self.on_here, msg)

    def receiveMsg_Describe(self, _msg: Describe, sender: ActorAddress) -> None:
        """Somebody asks how this actor is."""
        self.to_loop(self.answer, sender)

    def answer(self, asker: ActorAddress) -> None:
        """Describe this actor to whoever asked."""
        self.send_later(asker, Description(self.path, self.pid, self.describe()))

    def receiveMsg_Subscribe(self, msg: Subscribe, sender: ActorAddress) -> None:
        """A consumer subscribes."""
        if self.producer is not None:
            self.to_loop(self.producer.on_subscribe, msg, sender)

    def receiveMsg_Ask(self, msg: Ask, sender: ActorAddress) -> None:
        """A consumer asks."""
        if self.producer is not None:
            self.to_loop(self.producer.on_ask, msg, sender)

    def receiveMsg_Cancel(self, msg: Cancel, _sender: ActorAddress) -> None:
        """A consumer leaves."""
        if self.producer is not None:
            self.to_loop(self.producer.on_cancel, msg)

    def receiveMsg_Events(self, msg: Events, _sender: ActorAddress) -> None:
        """A producer sent a batch."""
        if self.consumer is not None:
            self.to_loop(self.consumer.on_message, msg)

    def receiveMsg_Cancelled(self, msg: Cancelled, _sender: ActorAddress) -> None:
        """A producer ended a subscription."""
        if self.consumer is not None:
            self.to_loop(self.consumer.on_message, msg)
