"""The carriers of a host: those configured, and the embedded ones where they run."""

from __future__ import annotations

from hermes.core.carrier import Bind, Carrier, RelayAccount, Tls
from hermes.settings.check_relay import SINK
from hermes.settings.wiring import Wiring

SIMULATED = "sim"
SINK_CONNECTIONS = 8


def carriers_of(wiring: Wiring) -> tuple[Carrier, ...]:
    """Give the configured carriers, the embedded ones first where they run."""
    embedded: tuple[Carrier, ...] = ()
    if wiring.settings.is_simulated:
        embedded += (simulated(wiring),)
    if wiring.settings.has_mail_sink:
        embedded += (sink(wiring),)
    return (*embedded, *wiring.settings.carrier)


def simulated(wiring: Wiring) -> Carrier:
    """Give the simulated carrier of SMS."""
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
    return Carrier(id=SIMULATED, simulator=True, bind=binds, default_sender="Hermes")


def sink(wiring: Wiring) -> Carrier:
    """Give the relay of mail that delivers to nobody."""
    relay = RelayAccount(
        host="127.0.0.1",
        port=wiring.mailsink_port,
        security="plain",
        connections=SINK_CONNECTIONS,
        tls=Tls(insecure=True),
    )
    return Carrier(
        id=SINK,
        kind="smtp",
        simulator=True,
        relay=relay,
        default_sender=f"Hermes <hermes@{wiring.mail_domain}>",
    )
