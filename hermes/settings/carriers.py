"""The carriers of a host: those configured, and the simulated ones where they run."""

from __future__ import annotations

from hermes.core.carrier import Bind, Carrier, Tls
from hermes.settings.wiring import Wiring

SIMULATED = "sim"


def carriers_of(wiring: Wiring) -> tuple[Carrier, ...]:
    """Give the configured carriers, the simulated one first where it runs."""
    if not wiring.settings.is_simulated:
        return wiring.settings.carrier
    s = wiring.settings.simulator
    binds = tuple(
        Bind(
            id=str(number),
            host="127.0.0.1",
            port=wiring.simulator_port,
            system_id="hermes",
            password="hermes",  # noqa: S106 - the simulator takes any
            window=s.window,
            tls=Tls(insecure=True),
        )
        for number in range(1, s.binds + 1)
    )
    sim = Carrier(id=SIMULATED, simulator=True, bind=binds, default_sender="Hermes")
    return (sim, *wiring.settings.carrier)
