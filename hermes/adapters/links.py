"""The link engine of a bind, by its name in the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, assert_never

from hermes.ports.link import Inbound, Link, LinkEvent, LinkSettings

Engine: TypeAlias = Literal["aiosmpplib", "native"]


def link_of(
    engine: Engine,
    settings: LinkSettings,
    on_deliver: Callable[[Inbound], None],
    on_event: Callable[[LinkEvent], None],
) -> Link:
    """Make the link; a driver is imported by the first bind that asks for it, not before.

    Raises ValueError for settings the engine cannot take.
    """
    match engine:
        case "aiosmpplib":
            from hermes.adapters.link_aiosmpplib import AiosmpplibLink  # noqa: PLC0415  (memory)

            return AiosmpplibLink(settings, on_deliver, on_event)
        case "native":
            from hermes.adapters.link_native import NativeLink  # noqa: PLC0415  (memory)

            return NativeLink(settings, on_deliver, on_event)
        case _:
            assert_never(engine)
