"""What no single key about cascades can say to be wrong."""

from __future__ import annotations

from collections.abc import Iterator

from hermes.core.cascade_text import MOST_STEPS, WAIT_RULE, is_wait, parse_cascade
from hermes.core.channel import CHANNELS
from hermes.core.ids import is_name
from hermes.settings.check import Fault
from hermes.settings.tree import CascadeDefault, Settings

ANY = "*"


def check_cascade(settings: Settings, faults: list[Fault]) -> None:
    """Add every fault of default plans, quiet hours and tenants, each under its key."""
    seen: dict[tuple[str, str | None], int] = {}
    for index, default in enumerate(settings.cascade.default):
        key = f"cascade.default[{index}]"
        if default.tenant != ANY and not is_name(default.tenant):
            faults.append(Fault(f"{key}.tenant", "must be * or a tenant's id"))
        first = seen.setdefault((default.tenant, default.traffic), index)
        if first != index:
            faults.append(Fault(key, f"tenant and class are those of cascade.default[{first}]"))
        rules = steps_of(default, has_engine=settings.restate.enabled)
        faults += [Fault(f"{key}.steps", rule) for rule in rules]
    if settings.quiet.enabled and settings.quiet.begin == settings.quiet.end:
        faults.append(Fault("quiet.end", "must differ from quiet.begin, else a day has no end"))
    ids = [tenant.id for tenant in settings.tenant]
    for index, tenant in enumerate(settings.tenant):
        if ids.index(tenant.id) != index:
            faults.append(Fault(f"tenant[{index}].id", f"{tenant.id!r} is used twice"))
        for channel in tenant.channels or ():
            if channel not in CHANNELS:
                known = ", ".join(CHANNELS)
                rule = f"no channel {channel!r}; known: {known}"
                faults.append(Fault(f"tenant[{index}].channels", rule))


def steps_of(default: CascadeDefault, *, has_engine: bool) -> Iterator[str]:
    """Check the steps of one default plan."""
    try:
        steps = parse_cascade(default.steps)
    except ValueError as error:
        yield str(error)
        return
    if len(steps) > MOST_STEPS:
        yield f"has {len(steps)} steps, the limit is {MOST_STEPS}"
    if len(steps) > 1 and not has_engine:
        yield "several steps need restate.enabled = true"
    for channel, wait in steps:
        if wait is not None and not is_wait(wait):
            yield f"the wait of {channel} {WAIT_RULE}"
