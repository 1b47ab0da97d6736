"""The tree of a host as data: its shape, and the rules every supervisor in it follows."""

from __future__ import annotations

from typing import Any

import msgspec

from hermes.core.carrier import Bind, Carrier
from hermes.settings.tree import Http, Receipts, Settings
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
    assert shape["services"] == {"simulator": None}
    assert shape["main"] == {
        "stages": {"intake": None, "recorder": None, "sweeper": None},
        "receipts": {"receipt-0": None},
        "mesh": {"sim": {"stage": None, "bind-1": None}},
        "frontdoor": {"frontdoor-1": None, "frontdoor-2": None},
        "admin": None,
    }
    assert root["flags"].strategy is Strategy.ONE_FOR_ONE


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
