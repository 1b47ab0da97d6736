"""The shell of a producer core in an actor's loop: carries its effects out as messages."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterable
from typing import Any, assert_never, cast

from actors import commands
from actors.effect_queue import EffectQueue
from actors.stage_host import StageHost
from hermes.stages import effects as fx
from hermes.stages.effects import Effect, Effects
from hermes.stages.producer import Producer


class ProducerShell:
    """Consumers of one actor; everything here runs in the actor's loop.

    `on_demand(count)` is told of new demand; events go out through `emit`.
    """

    def __init__(self, actor: StageHost, core: Producer, on_demand: Callable[[int], None]) -> None:
        self.actor, self.core, self.on_demand = actor, core, on_demand
        self.addresses: dict[int, Any] = {}
        self.effects = EffectQueue(self.perform)

    def on_subscribe(self, msg: commands.Subscribe, sender: Any) -> None:
        """A consumer subscribes."""
        self.forget_dead()  # a consumer that was restarted may be faster than its own death notice
        self.addresses[msg.pid] = sender
        self.obey(self.core.on_subscribe(msg.pid, msg.tag, msg.options, msg.replaces))

    def on_ask(self, msg: commands.Ask, sender: Any) -> None:
        """A consumer asks."""
        self.addresses.setdefault(msg.pid, sender)
        self.obey(self.core.on_ask(msg.pid, msg.tag, msg.count))

    def on_cancel(self, msg: commands.Cancel) -> None:
        """A consumer leaves."""
        self.obey(self.core.on_cancel(msg.tag, msg.reason))

    def emit(self, events: Iterable[Any]) -> None:
        """Give events to whoever asked; what nobody asked for is buffered."""
        self.obey(self.core.emit(events))

    def obey(self, effects: Effects) -> None:
        """Carry effects out."""
        self.effects.obey(effects)

    def perform(self, effect: Effect) -> None:
        """Carry one effect out."""
        me = self.actor.pid
        match effect:
            case fx.SendEvents(consumer=pid, tag=tag, events=events):
                self.say(pid, commands.Events(me, cast("str", tag), events))
            case fx.SendCancelled(consumer=pid, tag=tag, reason=reason):
                self.say(pid, commands.Cancelled(me, cast("str", tag), reason))
            case fx.HandleSubscribe(consumer=pid):
                if len(self.core.tags_of(pid)) <= 1:
                    _ = self.actor.spawn(self.watch(cast("int", pid)))
            case fx.HandleDemand(count=count):
                self.on_demand(count)
            case fx.HandleCancel(process=pid):
                if not self.core.tags_of(pid):
                    self.addresses.pop(cast("int", pid), None)
            case fx.ReportDiscarded(count=count, cause=cause):
                self.actor.log.warning("stage.discarded", count=count, cause=cause)
            case fx.Warn(problem=problem):
                self.actor.log.warning("stage.warned", problem=problem)
            case fx.StopStage(reason=reason):
                raise RuntimeError(f"the stage stops: {reason}")
            case (
                fx.SendSubscribe()
                | fx.SendAsk()
                | fx.SendCancel()
                | fx.HandleEvents()
                | fx.RefuseSubscription()
            ):
                raise TypeError(f"a producer does not {type(effect).__name__}")
            case _ as never:
                assert_never(never)

    def say(self, pid: Any, message: object) -> None:
        """Send to a consumer that is still known."""
        address = self.addresses.get(pid)
        if address is not None:
            self.actor.send_later(address, message)

    def forget_dead(self) -> None:
        """Tell the core of consumers whose process is gone already."""
        for pid in {cast("int", pid) for pid in self.core.consumers.values()}:
            if is_gone(pid):
                self.obey(self.core.on_process_down(pid, "noproc"))
                self.addresses.pop(pid, None)

    async def watch(self, pid: int) -> None:
        """Tell the core when a consumer's process is gone."""
        await self.actor.pid_gone(pid)
        self.obey(self.core.on_process_down(pid, "noproc"))
        self.addresses.pop(pid, None)


def is_gone(pid: int) -> bool:
    """Say whether a process has ended, reaped or not."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([pidfd], [], [], 0)[0])
    finally:
        os.close(pidfd)
