"""The frozen tree of settings; every duration is here, in seconds unless its name says else."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hermes.core.carrier import Carrier
from hermes.core.quiet import QuietHours
from hermes.core.units import TrafficClass

Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]
CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
Name = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}$")]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section: frozen, unknown keys refused."""


class Host(Section, frozen=True):
    """This machine: its name in owners and events, and where its data lives."""

    id: Name | None = None
    data_dir: str | None = None
    min_free_mb: Annotated[int, Meta(ge=0)] = 256


class Nats(Section, frozen=True):
    """The belt: `url` of a server somebody else runs, else embedded."""

    url: str | None = None
    bin: str | None = None
    sync_interval: str = "100ms"
    ack_wait: Seconds = 5.0
    progress_every: Seconds = 1.5
    duplicate_window: Seconds = 120.0


class Redis(Section, frozen=True):
    """Memory: `url` of a server somebody else runs, else embedded."""

    url: str | None = None
    bin: str | None = None
    lease: Seconds = 10.0
    lease_renew: Seconds = 2.0
    settled_ttl: Seconds = 1800.0
    final_ttl: Seconds = 3600.0


class Postgres(Section, frozen=True):
    """The ledger: `url` of a server somebody else runs, else embedded."""

    url: str | None = None
    bin_dir: str | None = None


class Restate(Section, frozen=True):
    """The cascade engine; one-step plans never need it."""

    enabled: bool = True
    ingress_url: str | None = None
    admin_url: str | None = None
    bin: str | None = None
    endpoint_host: str = "127.0.0.1"
    endpoint_port: Port = 0
    endpoint_url: str | None = None
    identity_keys: tuple[str, ...] = ()
    lazy_start: bool = False
    inactivity: Seconds = 0.1
    retention: Seconds = 1800.0
    retry_first: Seconds = 0.2
    retry_max: Seconds = 10.0
    retry_attempts: Count = 70


class Http(Section, frozen=True):
    """The front door: processes that share one port."""

    host: str = "127.0.0.1"
    port: Port = 8080
    workers: Count = 2
    max_body: Annotated[int, Meta(ge=1024)] = 262_144
    pepper: str | None = None


class Admin(Section, frozen=True):
    """The admin socket and the loopback port of console and metrics."""

    socket: str | None = None
    host: str = "127.0.0.1"
    port: Port = 9464
    actor_port: Port = 0


class Log(Section, frozen=True):
    """Where and how much is logged; text and addresses never are."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    file: str | None = None


class Message(Section, frozen=True):
    """Defaults and bounds of accepted messages."""

    expires_after: Seconds = 86_400.0
    max_segments: Annotated[int, Meta(ge=1, le=255)] = 10


class CascadeDefault(Section, frozen=True):
    """The steps of a message that names none, by tenant and class; `*` and None mean any."""

    steps: str
    tenant: str = "*"
    traffic: TrafficClass | None = msgspec.field(default=None, name="class")


class Cascade(Section, frozen=True):
    """Plans of several steps: what a request may leave out."""

    default_wait: Annotated[float, Meta(ge=1, le=604_800)] = 300.0
    default: tuple[CascadeDefault, ...] = ()


class Quiet(Section, frozen=True):
    """Marketing rests in these hours of the recipient's day; `begin` and `end` are HH:MM."""

    enabled: bool = False
    begin: Annotated[str, Meta(pattern=CLOCK)] = "21:00"
    end: Annotated[str, Meta(pattern=CLOCK)] = "08:00"

    @property
    def hours(self) -> QuietHours | None:
        """The hours, None where there are none."""
        if not self.enabled:
            return None
        return QuietHours(time.fromisoformat(self.begin), time.fromisoformat(self.end))


class Tenant(Section, frozen=True):
    """What one tenant may do; `channels` None means all there are."""

    id: Name
    channels: tuple[str, ...] | None = None


class Clock(Section, frozen=True):
    """The ledger clock: how long each open question may stay open."""

    tick: Seconds = 1.0
    uncertain_grace: Seconds = 90.0
    uncertain_grace_otp: Seconds = 10.0
    receipt_timeout: Seconds = 3600.0
    readmit_after: Seconds = 10.0
    retry_after: Seconds = 30.0
    max_retries: Annotated[int, Meta(ge=0)] = 3
    batch: Count = 1000


class Smpp(Section, frozen=True):
    """Timers of every bind."""

    response_timeout: Seconds = 60.0
    enquire_every: Seconds = 30.0
    enquire_timeout: Seconds = 10.0
    bind_timeout: Seconds = 10.0
    backoff_first: Seconds = 1.0
    backoff_max: Seconds = 60.0
    backoff_bound: Seconds = 45.0
    backoff_refused: Seconds = 60.0
    ready: Seconds = 0.1
    max_unanswered: Count = 500


class Batch(Section, frozen=True):
    """What crosses process borders goes in batches: so many items or so many seconds."""

    items: Count = 50
    wait: Seconds = 0.01


class Supervision(Section, frozen=True):
    """Restart intensities and the heartbeat of the tree."""

    leaf_restarts: Count = 10
    leaf_period: Seconds = 60.0
    middle_restarts: Count = 5
    middle_period: Seconds = 60.0
    root_restarts: Count = 3
    root_period: Seconds = 300.0
    beat: Seconds = 2.0
    beat_misses: Count = 3
    stop_after: Seconds = 20.0


class Simulator(Section, frozen=True):
    """The simulated carrier of embedded mode."""

    enabled: bool | None = None
    port: Port = 0
    latency_ms: Annotated[float, Meta(ge=0)] = 5.0
    receipt_delay_ms: Annotated[float, Meta(ge=0)] = 200.0
    tps: Annotated[float, Meta(ge=0)] = 0.0
    window: Count = 10
    binds: Count = 1
    log: str | None = None


class Mail(Section, frozen=True):
    """Outgoing mail and what comes back: `domain` of message ids and return paths.

    `feedback` are addresses whose mail holds complaints; `sink` and `confirm_after` belong to the
    relay that delivers to nobody.
    """

    domain: str | None = None
    listener: bool = True
    listener_host: str = "127.0.0.1"
    listener_port: Port = 0
    feedback: tuple[str, ...] = ()
    verp_secret: str | None = None
    sink: bool | None = None
    confirm_after: Seconds = 1.0


class Receipts(Section, frozen=True):
    """The DLR processors of a host."""

    stages: Count = 1


class Settings(Section, frozen=True):
    """Everything `config/hermes.toml`, `config/carriers/*.toml` and the environment may say."""

    host: Host = Host()
    nats: Nats = Nats()
    redis: Redis = Redis()
    postgres: Postgres = Postgres()
    restate: Restate = Restate()
    http: Http = Http()
    admin: Admin = Admin()
    log: Log = Log()
    message: Message = Message()
    clock: Clock = Clock()
    smpp: Smpp = Smpp()
    batch: Batch = Batch()
    supervision: Supervision = Supervision()
    simulator: Simulator = Simulator()
    receipts: Receipts = Receipts()
    mail: Mail = Mail()
    cascade: Cascade = Cascade()
    quiet: Quiet = Quiet()
    tenant: tuple[Tenant, ...] = ()
    carrier: tuple[Carrier, ...] = ()

    @property
    def has_mail_sink(self) -> bool:
        """Say whether mail goes to a sink of this host: it comes with the simulated carrier."""
        if self.mail.sink is not None:
            return self.mail.sink
        return self.is_simulated and not any(c.kind == "smtp" for c in self.carrier)

    @property
    def is_simulated(self) -> bool:
        """Say whether the simulated carrier runs: any real carrier turns it off."""
        if self.simulator.enabled is not None:
            return self.simulator.enabled
        return not self.carrier
