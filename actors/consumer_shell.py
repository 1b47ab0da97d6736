"""The shell of a consumer core in an actor's loop: keeps its subscriptions, takes its events."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Any, assert_never, cast

from actors import commands
from actors.effect_queue import EffectQueue
from actors.stage_host import StageHost
from hermes.actor_messages import TreePath
from hermes.stages import effects as fx
from hermes.stages.consumer import Consumer
from hermes.stages.effects import Effect, Effects

RESUBSCRIBE_EVERY = 0.1
LOOK_EVERY = 1.0


class ConsumerShell:
    """Subscriptions of one actor; everything here runs in the actor's loop.

    `on_events(tag, batch)` takes a batch; an automatic consumer calls `handled` when it is done,
    a manual one at once. `on_lost(tag)` is told when a subscription ended.
    """

    def __init__(
        self,
        actor: StageHost,
        on_events: Callable[[str, tuple[Any, ...]], None],
        on_lost: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.actor, self.on_events, self.on_lost = actor, on_events, on_lost
        self.core = Consumer()
        self.effects = EffectQueue(self.perform)
        self.addresses: dict[int, Any] = {}
        self.numbers = itertools.count()
        self.ended: dict[str, asyncio.Event] = {}

    async def keep_subscribed(
        self,
        path: TreePath,
        options: Mapping[str, Any],
        *,
        manual: bool = False,
        on_subscribed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Hold a subscription to whoever lives at `path`: subscribe again whenever it ends."""
        pause = RESUBSCRIBE_EVERY
        while True:
            found = await self.actor.whereis(path)
            if found.pid is None:
                await asyncio.sleep(pause)
                pause = min(LOOK_EVERY, pause * 1.5)
                continue
            pause = RESUBSCRIBE_EVERY
            tag = f"{self.actor.pid}-{next(self.numbers)}"
            ended = self.ended[tag] = asyncio.Event()
            self.addresses[found.pid] = found.address
            self.obey(
                self.core.subscribe(
                    found.pid, tag, {**options, "cancel": "temporary"}, manual=manual
                )
            )
            on_subscribed(tag)
            watching = self.actor.spawn(self.watch(found.pid))
            await ended.wait()
            watching.cancel()
            del self.ended[tag]
            self.on_lost(tag)
            await asyncio.sleep(RESUBSCRIBE_EVERY)

    def ask(self, tag: str, count: int) -> None:
        """Ask by hand."""
        self.obey(self.core.ask(tag, count))

    def handled(self) -> None:
        """The batch in hand is done; the next may come."""
        self.obey(self.core.handled())

    def on_message(self, msg: commands.Events | commands.Cancelled) -> None:
        """A producer sent events or ended the subscription."""
        if isinstance(msg, commands.Events):
            self.obey(self.core.on_events(msg.pid, msg.tag, msg.batch))
        else:
            self.obey(self.core.on_cancelled(msg.tag, msg.reason))

    def obey(self, effects: Effects) -> None:
        """Carry effects out."""
        self.effects.obey(effects)

    def perform(self, effect: Effect) -> None:
        """Carry one effect out."""
        me = self.actor.pid
        match effect:
            case fx.SendSubscribe(producer=pid, tag=tag, options=options, replaces=replaces):
                self.say(pid, commands.Subscribe(me, cast("str", tag), options, replaces))
            case fx.SendAsk(producer=pid, tag=tag, count=count):
                self.say(pid, commands.Ask(me, cast("str", tag), count))
            case fx.SendCancel(producer=pid, tag=tag, reason=reason):
                self.say(pid, commands.Cancel(me, cast("str", tag), reason))
            case fx.HandleEvents(tag=tag, events=events):
                self.on_events(cast("str", tag), events)
            case fx.HandleCancel(tag=tag):
                if tag in self.ended:
                    self.ended[tag].set()
            case fx.RefuseSubscription(problem=problem) | fx.Warn(problem=problem):
                self.actor.log.warning("stage.warned", problem=problem)
            case fx.StopStage(reason=reason):
                raise RuntimeError(f"the stage stops: {reason}")
            case (
                fx.SendEvents()
                | fx.SendCancelled()
                | fx.HandleSubscribe()
                | fx.HandleDemand()
                | fx.ReportDiscarded()
            ):
                raise TypeError(f"a consumer does not {type(effect).__name__}")
            case _ as never:
                assert_never(never)

    def say(self, pid: Any, message: object) -> None:
        """Send to a producer that is still known."""
        address = self.addresses.get(pid)
        if address is not None:
            self.actor.send_later(address, message)

    async def watch(self, pid: int) -> None:
        """Tell the core when a producer's process is gone."""
        await self.actor.pid_gone(pid)
        self.obey(self.core.on_process_down(pid, "noproc"))
        self.addresses.pop(pid, None)
