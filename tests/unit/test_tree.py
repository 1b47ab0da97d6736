"""The tree of a host as data: its shape, and the rules every supervisor in it follows."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.port_actor import PortSpec
from hermes.core.carrier import Bind, Carrier, RelayAccount
from hermes.settings.tree import Http, Mail, Receipts, Settings, Simulator
from hermes.settings.wiring import Wiring
from hermes.tree import root_requirements
from supervisors.child_spec import INFINITY, ChildSpec, ChildType, Restart, spec_faults
from supervisors.strategy import Strategy
from supervisors.supervisor_actor import StartActor


def wiring_of(settings: Settings) -> Wiring:
    """Make a wiring that leads nowhere."""
    return Wiring(
        settings=settings,
        host="a",
        nats_url="nats://x",
        redis_url="redis://x",
        postgres_dsn="postgresql://x",
        data_dir="/nowhere",
        run_dir="/nowhere/run",
        socket_dir="/nowhere/run",
    )


def outline(specs: tuple[ChildSpec, ...]) -> dict[str, Any]:
    """Give the ids of a tree, nested."""
    shape: dict[str, Any] = {}
    for spec in specs:
        assert isinstance(spec.start, StartActor)
        is_supervisor = spec.type is ChildType.SUPERVISOR
        shape[spec.id] = outline(spec.start.args["specs"]) if is_supervisor else None
    return shape


def test_the_simulated_carrier_is_a_service_and_a_carrier() -> None:
    root = root_requirements(wiring_of(Settings()), ())
    shape = outline(root["specs"])
    assert list(shape) == ["services", "prepare", "main"]
    assert shape["services"] == {"simulator": None, "mailsink": None}
    assert shape["main"] == {
        "stages": {"intake": None, "recorder": None, "sweeper": None},
        "receipts": {"receipt-0": None, "bounces": None},
        "mesh": {
            "sim": {"stage": None, "bind-1": None},
            "mail": {"stage": None, "relay": None},
        },
        "frontdoor": {"frontdoor-1": None, "frontdoor-2": None},
        "admin": None,
    }
    assert root["flags"].strategy is Strategy.ONE_FOR_ONE


def test_the_sink_and_the_listener_can_be_turned_off() -> None:
    settings = Settings(mail=Mail(sink=False))
    shape = outline(root_requirements(wiring_of(settings), ())["specs"])
    assert shape["services"] == {"simulator": None}
    assert shape["main"]["receipts"] == {"receipt-0": None}
    assert list(shape["main"]["mesh"]) == ["sim"]
    settings = Settings(mail=Mail(listener=False))
    root = root_requirements(wiring_of(settings), ())
    assert outline(root["specs"])["main"]["receipts"] == {"receipt-0": None}
    assert "--reports" not in sink_argv(root)
    assert "--reports" in sink_argv(root_requirements(wiring_of(Settings()), ()))


def sink_argv(root: dict[str, Any]) -> tuple[str, ...]:
    """Give the command of the sink's process."""
    services = root["specs"][0].start.args["specs"]
    spec: PortSpec = next(s for s in services if s.id == "mailsink").start.args["spec"]
    return spec.argv


def test_a_relay_turns_the_sink_off_and_may_be_tried_with_one() -> None:
    relay = Carrier(id="acme", kind="smtp", relay=RelayAccount(host="h"))
    simulated = Simulator(enabled=True)
    assert not Settings(carrier=(relay,), simulator=simulated).has_mail_sink
    assert Settings(carrier=(relay,), mail=Mail(sink=True)).has_mail_sink
    sms = Carrier(id="acme")
    assert not Settings(carrier=(sms,)).has_mail_sink
    assert Settings(carrier=(sms,), simulator=simulated).has_mail_sink


def test_a_host_holds_only_the_binds_that_are_pinned_to_it_or_to_nobody() -> None:
    binds = tuple(
        Bind(id=name, host="h", port=1, system_id="s", hosts=hosts)
        for name, hosts in (("x", ()), ("y", ("a",)), ("z", ("b",)))
    )
    settings = Settings(
        carrier=(Carrier(id="acme", bind=binds),),
        http=Http(workers=1),
        receipts=Receipts(stages=2),
    )
    shape = outline(root_requirements(wiring_of(settings), ())["specs"])
    assert shape["services"] == {}
    assert shape["main"]["mesh"] == {"acme": {"stage": None, "bind-x": None, "bind-y": None}}
    assert list(shape["main"]["receipts"]) == ["receipt-0", "receipt-1"]


def test_a_relay_has_a_stage_and_a_consumer_where_it_is_used() -> None:
    carriers = tuple(
        Carrier(id=name, kind="smtp", relay=RelayAccount(host="h", hosts=hosts))
        for name, hosts in (("here", ("a",)), ("there", ("b",)), ("everywhere", ()))
    )
    settings = Settings(carrier=(*carriers, Carrier(id="plugin", kind="provider")))
    shape = outline(root_requirements(wiring_of(settings), ())["specs"])
    assert shape["main"]["mesh"] == {
        "here": {"stage": None, "relay": None},
        "there": {"stage": None},
        "everywhere": {"stage": None, "relay": None},
    }


def test_every_supervisor_is_permanent_and_every_spec_is_sound() -> None:
    def check(specs: tuple[ChildSpec, ...], flags: Any) -> None:
        assert spec_faults(specs, flags.auto_shutdown) == ()
        for spec in specs:
            assert isinstance(spec.start, StartActor)
            if spec.type is ChildType.SUPERVISOR:
                assert spec.restart is Restart.PERMANENT
                check(spec.start.args["specs"], spec.start.args["flags"])

    root = root_requirements(wiring_of(Settings()), ())
    check(root["specs"], root["flags"])


def test_no_start_is_given_up_while_a_store_is_away() -> None:
    def check(specs: tuple[ChildSpec, ...]) -> None:
        for spec in specs:
            assert isinstance(spec.start, StartActor)
            if spec.type is ChildType.WORKER:
                assert spec.start_timeout == INFINITY, spec.id
            check(spec.start.args.get("specs", ()))

    check(root_requirements(wiring_of(Settings()), ())["specs"])


def test_a_wiring_survives_its_file() -> None:
    wiring = wiring_of(Settings(carrier=(Carrier(id="acme"),)))
    assert msgspec.json.decode(msgspec.json.encode(wiring), type=Wiring) == wiring
