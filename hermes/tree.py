"""The supervision tree of a host as data: which child specs under which supervisor."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from actors.admin_actor import AdminActor
from actors.bind_consumer import BindConsumer
from actors.bounce_listener import BounceListener
from actors.carrier_stage import CarrierStage
from actors.intake_stage import IntakeStage
from actors.outcome_stage import OutcomeStage
from actors.port_actor import PortActor, PortSpec, port_of_service
from actors.port_core import PortTimes
from actors.prepare_actor import PrepareActor
from actors.receipt_stage import ReceiptStage
from actors.recorder_consumer import RecorderConsumer
from actors.relay_consumer import RelayConsumer
from actors.sweeper_actor import SweeperActor
from cascade.engine import Retries
from cascade.engines.restate_workflow import WorkflowSettings
from hermes.actor import HermesActor
from hermes.core.carrier import Carrier
from hermes.embedded.probe import TcpOpen
from hermes.embedded.spec import ServiceSpec
from hermes.embedded.state_file import ProcessRecord, StateFile, start_time
from hermes.settings.carriers import carriers_of
from hermes.settings.wiring import Wiring
from supervisors.child_spec import INFINITY, ChildSpec, ChildType
from supervisors.intensity import Intensity
from supervisors.strategy import Strategy, SupervisorFlags
from supervisors.supervisor_actor import Beat, StartActor, SupervisorActor

SERVED = ("smpp", "smtp")
"""The kinds of carrier that have actors of their own."""
ORPHAN_ENDS_IN_S = 1.0
"""A front door that lost its daemon finishes requests only by waiting for stores that are gone."""


def root_requirements(wiring: Wiring, services: tuple[ServiceSpec, ...]) -> dict[str, Any]:
    """Give the arguments of the root supervisor."""
    s = wiring.settings.supervision
    specs = (
        supervisor(wiring, "services", services_of(wiring, services), middle(wiring)),
        leaf(wiring, "prepare", PrepareActor, carriers=carriers_of(wiring)),
        supervisor(wiring, "main", main_of(wiring), middle(wiring)),
    )
    flags = SupervisorFlags(Strategy.ONE_FOR_ONE, Intensity(s.root_restarts, s.root_period))
    return {
        "path": ("root",),
        "log_level": wiring.settings.log.level,
        "flags": flags,
        "specs": specs,
        "beat": Beat(s.beat, s.beat_misses),
    }


def main_of(wiring: Wiring) -> tuple[ChildSpec, ...]:
    """Give what works on messages."""
    carriers = carriers_of(wiring)
    stages: tuple[ChildSpec, ...] = (
        leaf(wiring, "intake", IntakeStage, carriers=carriers),
        leaf(wiring, "recorder", RecorderConsumer, carriers=carriers),
        leaf(wiring, "sweeper", SweeperActor, carriers=carriers),
    )
    if wiring.has_cascades:
        stages += (
            leaf(wiring, "outcome", OutcomeStage, carriers=carriers),
            leaf(wiring, "cascade", PortActor, spec=cascade_endpoint(wiring)),
        )
    mesh = tuple(
        supervisor(wiring, carrier.id, carrier_of(wiring, carrier), leaves(wiring))
        for carrier in carriers
        if carrier.kind in SERVED
    )
    return (
        supervisor(wiring, "stages", stages, leaves(wiring)),
        supervisor(wiring, "receipts", receipts_of(wiring, carriers), leaves(wiring)),
        supervisor(wiring, "mesh", mesh, middle(wiring)),
        supervisor(wiring, "frontdoor", front_doors(wiring), leaves(wiring)),
        leaf(wiring, "admin", AdminActor, carriers=carriers),
    )


def carrier_of(wiring: Wiring, carrier: Carrier) -> tuple[ChildSpec, ...]:
    """Give a carrier's stage and the binds this host holds, or the relay it uses."""
    binds = (
        leaf(wiring, f"bind-{bind.id}", BindConsumer, carrier=carrier, bind=bind)
        for bind in carrier.binds_on(wiring.host)
    )
    relay = carrier.relay_on(wiring.host)
    relays = (leaf(wiring, "relay", RelayConsumer, carrier=carrier, relay=relay),) if relay else ()
    return (leaf(wiring, "stage", CarrierStage, carrier=carrier), *binds, *relays)


def receipts_of(wiring: Wiring, carriers: tuple[Carrier, ...]) -> tuple[ChildSpec, ...]:
    """Give the DLR processors, which consume from every bind of this host, and the bounces."""
    binds = tuple(
        ("root", "main", "mesh", carrier.id, f"bind-{bind.id}")
        for carrier in carriers
        for bind in carrier.binds_on(wiring.host)
    )
    stages = tuple(
        leaf(
            wiring,
            f"receipt-{number}",
            ReceiptStage,
            partition=number,
            carriers=tuple(c for c in carriers if c.kind == "smpp"),
            binds=binds,
        )
        for number in range(wiring.settings.receipts.stages)
    )
    if wiring.settings.mail.listener and any(c.kind == "smtp" for c in carriers):
        return (*stages, leaf(wiring, "bounces", BounceListener, carriers=carriers))
    return stages


def front_doors(wiring: Wiring) -> tuple[ChildSpec, ...]:
    """Give the front door processes."""
    return tuple(
        leaf(wiring, f"frontdoor-{index}", PortActor, spec=front_door(wiring, index))
        for index in range(1, wiring.settings.http.workers + 1)
    )


def front_door(wiring: Wiring, index: int) -> PortSpec:
    """Give one front door process."""
    argv = (sys.executable, "-m", "hermes.frontdoor")
    return PortSpec(
        name=f"frontdoor-{index}",
        argv=(*argv, "--wiring", str(wiring.path), "--index", str(index)),
        ready=TcpOpen(f"{wiring.socket_dir}/frontdoor-{index}.sock"),
        times=PortTimes(stop_timeout_s=10.0),
        is_awaited=index == wiring.settings.http.workers,
        on_started=partial(record, wiring, f"frontdoor-{index}"),
    )


def cascade_endpoint(wiring: Wiring) -> PortSpec:
    """Give the process the cascade engine calls."""
    s = wiring.settings.restate
    keys = s.identity_keys or ((wiring.restate_identity,) if wiring.restate_identity else ())
    settings = WorkflowSettings(
        inactivity_s=s.inactivity,
        retention_s=s.retention,
        retries=Retries(initial_s=s.retry_first, max_s=s.retry_max, max_attempts=s.retry_attempts),
    )
    argv = [sys.executable, "-m", "cascade.engines.restate_server"]
    for option, value in (
        ("host", s.endpoint_host),
        ("port", wiring.cascade_port),
        ("steps", "actors.cascade_steps:open_steps"),
        ("steps-argument", wiring.path),
        ("settings", msgspec.json.encode(settings).decode()),
        *(("identity-key", key) for key in keys),
    ):
        argv += [f"--{option}", str(value)]
    return PortSpec(
        name="cascade",
        argv=tuple(argv),
        ready=TcpOpen(f"{s.endpoint_host}:{wiring.cascade_port}"),
        is_awaited=False,
        on_started=partial(record, wiring, "cascade"),
    )


def services_of(wiring: Wiring, services: tuple[ServiceSpec, ...]) -> tuple[ChildSpec, ...]:
    """Give the embedded services, and the simulated carriers while there are no others."""
    specs = [
        leaf(
            wiring,
            service.name,
            PortActor,
            shutdown=service.stop_timeout_s + 5,
            spec=replace(
                port_of_service(service, partial(record_service, wiring, service)),
                is_awaited=False,
            ),
        )
        for service in services
    ]
    if wiring.settings.is_simulated:
        specs.append(leaf(wiring, "simulator", PortActor, spec=simulator(wiring)))
    if wiring.settings.has_mail_sink:
        specs.append(leaf(wiring, "mailsink", PortActor, spec=mailsink(wiring)))
    return tuple(specs)


def simulator(wiring: Wiring) -> PortSpec:
    """Give the simulated carrier's process."""
    s = wiring.settings.simulator
    log = s.log or str(Path(wiring.data_dir) / "log" / "simulator.jsonl")
    argv = [sys.executable, "-m", "hermes.simulator"]
    for option, value in (
        ("port", wiring.simulator_port),
        ("control-port", wiring.simulator_control_port),
        ("latency-ms", s.latency_ms),
        ("receipt-delay-ms", s.receipt_delay_ms),
        ("tps", s.tps),
        ("log", log),
    ):
        argv += [f"--{option}", str(value)]
    return PortSpec(
        name="simulator",
        argv=tuple(argv),
        ready=TcpOpen(f"127.0.0.1:{wiring.simulator_port}"),
        is_awaited=False,
        log_path=str(Path(wiring.data_dir) / "log" / "simulator.log"),
        on_started=partial(record, wiring, "simulator"),
    )


def mailsink(wiring: Wiring) -> PortSpec:
    """Give the process of the relay that delivers to nobody."""
    mail = wiring.settings.mail
    argv = [sys.executable, "-m", "hermes.mailsink"]
    for option, value in (
        ("port", wiring.mailsink_port),
        ("control-port", wiring.mailsink_control_port),
        ("confirm-after", mail.confirm_after),
    ):
        argv += [f"--{option}", str(value)]
    if mail.listener:
        argv += ["--reports", f"{mail.listener_host}:{wiring.mail_listener_port}"]
    return PortSpec(
        name="mailsink",
        argv=tuple(argv),
        ready=TcpOpen(f"127.0.0.1:{wiring.mailsink_port}"),
        is_awaited=False,
        log_path=str(Path(wiring.data_dir) / "log" / "mailsink.log"),
        on_started=partial(record, wiring, "mailsink"),
    )


def supervisor(
    wiring: Wiring, child_id: str, specs: tuple[ChildSpec, ...], intensity: Intensity
) -> ChildSpec:
    """Give a supervisor: permanent in its parent, because one that gives up exits `shutdown`."""
    s = wiring.settings.supervision
    args = {
        "flags": SupervisorFlags(Strategy.ONE_FOR_ONE, intensity),
        "specs": specs,
        "beat": Beat(s.beat, s.beat_misses),
    }
    return ChildSpec(child_id, StartActor(SupervisorActor, args), type=ChildType.SUPERVISOR)


def leaf(
    wiring: Wiring,
    child_id: str,
    cls: type[HermesActor],
    *,
    shutdown: float | None = None,
    **args: Any,
) -> ChildSpec:
    """Give a leaf with the host's wiring.

    Its start waits for a store that is away as long as it takes; what hangs misses heartbeats.
    """
    return ChildSpec(
        child_id,
        StartActor(cls, {"wiring": wiring, **args}),
        shutdown=shutdown or wiring.settings.supervision.stop_after,
        start_timeout=INFINITY,
    )


def leaves(wiring: Wiring) -> Intensity:
    """Give the intensity of a supervisor of leaves."""
    s = wiring.settings.supervision
    return Intensity(s.leaf_restarts, s.leaf_period)


def middle(wiring: Wiring) -> Intensity:
    """Give the intensity of a supervisor of supervisors."""
    s = wiring.settings.supervision
    return Intensity(s.middle_restarts, s.middle_period)


def record(wiring: Wiring, name: str, pid: int) -> None:
    """Keep a process of Hermes' own in the state file, so that an orphan is found."""
    state = StateFile(Path(wiring.run_dir) / "state.json")
    state.record(ProcessRecord(name, pid, start_time(pid) or "", "hermes", 15, ORPHAN_ENDS_IN_S))


def record_service(wiring: Wiring, service: ServiceSpec, pid: int) -> None:
    """Keep a service's process in the state file."""
    state = StateFile(Path(wiring.run_dir) / "state.json")
    state.record(
        ProcessRecord(
            service.name,
            pid,
            start_time(pid) or "",
            "service",
            service.stop_signal,
            service.stop_timeout_s,
            service.where,
            service.version,
            service.binary,
        )
    )
