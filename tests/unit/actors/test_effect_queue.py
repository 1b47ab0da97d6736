"""Effects are carried out in the order they were decided, whoever feeds the core meanwhile."""

from __future__ import annotations

from actors.effect_queue import EffectQueue
from hermes.stages.effects import Effect, Warn


def test_effects_of_a_callback_queue_behind_those_decided_before() -> None:
    done: list[str] = []

    def perform(effect: Effect) -> None:
        assert isinstance(effect, Warn)
        done.append(effect.problem)
        if effect.problem == "first":
            queue.obey((Warn("third"),))

    queue = EffectQueue(perform)
    queue.obey((Warn("first"), Warn("second")))
    assert done == ["first", "second", "third"]


def test_a_failed_effect_does_not_block_the_queue_for_good() -> None:
    done: list[str] = []

    def perform(effect: Effect) -> None:
        assert isinstance(effect, Warn)
        if effect.problem == "bad":
            raise RuntimeError
        done.append(effect.problem)

    queue = EffectQueue(perform)
    try:
        queue.obey((Warn("bad"),))
    except RuntimeError:
        queue.obey((Warn("good"),))
    assert done == ["good"]
