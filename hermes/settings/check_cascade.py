"""What no single key about cascades can say to be wrong."""

from __future__ import annotations

from hermes.core.cascade_text import parse_cascade
from hermes.core.channel import CHANNELS
from hermes.core.ids import is_name
from hermes.settings.check import Fault
from hermes.settings.tree import Settings

ANY = "*"


def check_cascade(settings: Settings, faults: list[Fault]) -> None:
    """Add every fault of default plans, quiet hours and tenants, each under its key."""
    for index, default in enumerate(settings.cascade.default):
        key = f"cascade.default[{index}]"
        if default.tenant != ANY and not is_name(default.tenant):
            faults.append(Fault(f"{key}.tenant", "must be * or a tenant's id"))
        try:
            steps = parse_cascade(default.steps)
        except ValueError as error:
            faults.append(Fault(f"{key}.steps", str(error)))
            continue
        if len(steps) > 1 and not settings.restate.enabled:
            faults.append(Fault(f"{key}.steps", "several steps need restate.enabled = true"))
    if settings.quiet.enabled and settings.quiet.begin == settings.quiet.end:
        faults.append(Fault("quiet.end", "must differ from quiet.begin, else a day has no end"))
    for index, tenant in enumerate(settings.tenant):
        for channel in tenant.channels or ():
            if channel not in CHANNELS:
                known = ", ".join(CHANNELS)
                rule = f"no channel {channel!r}; known: {known}"
                faults.append(Fault(f"tenant[{index}].channels", rule))
