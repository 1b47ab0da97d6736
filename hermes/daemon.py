"""hermesd: a parent without Thespian that starts the actor system in a fork and watches it."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from hermes.core.errors import ConfigError, HermesError
from hermes.embedded.endpoints import ExternalUrls
from hermes.embedded.initialise import NatsLimits
from hermes.embedded.orphan import stop_orphans
from hermes.embedded.plan import ServiceOptions, ServicePlan, plan_services
from hermes.embedded.socket_dir import MAX_SOCKET_PATH_BYTES
from hermes.embedded.state_file import ProcessRecord, start_time
from hermes.progress import Listener
from hermes.settings.tree import Settings
from hermes.settings.wiring import Wiring, save

Say = Callable[[str, str], None]
MAX_STARTS = 5
START_PERIOD = 300.0
KILL_MARGIN = 15.0
BAD_START = 78
SILENCE = 15.0
LOOPBACK = "127.0.0.1"
KEPT_PORTS = (
    "actors",
    "http",
    "admin",
    "simulator",
    "simulator_control",
    "cascade",
    "mail_listener",
    "mailsink",
    "mailsink_control",
)
RESTATE_DIR = Path(__file__).resolve().parent.parent / ".hermes" / "restate"


class GaveUp(HermesError):
    """The actor system ended again and again."""


class PortInUse(ConfigError):
    """A port the configuration names is taken."""

    def __init__(self, key: str, host: str, port: int) -> None:
        self.key, self.port = key, port
        super().__init__(f"{key}: port {port} on {host} is in use; free it or choose another")


@dataclass
class Host:
    """What hermesd holds for its whole life."""

    plan: ServicePlan
    wiring: Wiring
    listener: Listener
    say: Say
    stopping: bool = False


def run(settings: Settings, say: Say) -> None:
    """Run the daemon until SIGTERM, SIGINT or SIGHUP.

    Raises ConfigError (what the operator must change), GaveUp after 5 ends in 300 s.
    """
    if settings.is_simulated:
        say("carrier", 'carrier "sim" is a simulator; any [[carrier]] turns it off')
    if settings.has_mail_sink:
        say("carrier", 'carrier "mail" is a sink: its mails go nowhere, see hermes mail')
    # from here on any of them ends the preparation too, and what it has started
    old = {number: signal.signal(number, signal.default_int_handler) for number in stops()}
    try:
        prepare_and_watch(settings, say)
    except KeyboardInterrupt:
        say("stop", "stopped before anything was started")
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def stops() -> tuple[signal.Signals, ...]:
    """Give the signals that stop the daemon; under nohup the end of the terminal does not."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return (signal.SIGTERM, signal.SIGINT)
    return (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def prepare_and_watch(settings: Settings, say: Say) -> None:
    """Prepare this host's data, check what it needs, and live.

    Ports are looked at only once the data directory is ours: by then what a killed daemon left
    running is gone, and a second daemon has been told about the first.
    """
    plan = plan_services(options_of(settings), lambda text: say("prepare", text))
    try:
        check_places(settings)
        wiring = wire(settings, plan)
        save(wiring)
        listener = Listener(wiring.socket_dir)
        try:
            watch(Host(plan, wiring, listener, say))
        finally:
            listener.close()
    finally:
        plan.lock.release()


def options_of(settings: Settings) -> ServiceOptions:
    """Say what embedded services this host wants."""
    return ServiceOptions(
        data_dir=Path(settings.host.data_dir) if settings.host.data_dir else None,
        external=ExternalUrls(
            nats_url=settings.nats.url,
            redis_url=settings.redis.url,
            postgres_dsn=settings.postgres.url,
            restate_ingress_url=settings.restate.ingress_url,
            restate_admin_url=settings.restate.admin_url,
        ),
        names=frozenset(
            {"nats", "valkey", "postgres"} | ({"restate"} if settings.restate.enabled else set())
        ),
        nats_bin=settings.nats.bin,
        redis_bin=settings.redis.bin,
        postgres_bin_dir=settings.postgres.bin_dir,
        restate_bin=settings.restate.bin,
        restate_dir=RESTATE_DIR,
        nats=NatsLimits(sync_interval=settings.nats.sync_interval),
        extra_ports=KEPT_PORTS,
        min_free_bytes=settings.host.min_free_mb * 2**20,
    )


def wire(settings: Settings, plan: ServicePlan) -> Wiring:
    """Decide every address of this host."""
    endpoints, ports = plan.endpoints, plan.ports
    return Wiring(
        settings=settings,
        host=settings.host.id or "host",
        nats_url=endpoints.nats_url,
        redis_url=endpoints.redis_url,
        postgres_dsn=endpoints.postgres_dsn,
        restate_ingress_url=endpoints.restate_ingress_url,
        restate_admin_url=endpoints.restate_admin_url,
        data_dir=str(plan.data.root),
        run_dir=str(plan.data.run),
        socket_dir=str(plan.data.run_sockets),
        http_port=settings.http.port or ports["http"],
        admin_port=settings.admin.port or ports["admin"],
        actor_port=settings.admin.actor_port or ports["actors"],
        simulator_port=settings.simulator.port or ports["simulator"],
        simulator_control_port=ports["simulator_control"],
        cascade_port=settings.restate.endpoint_port or ports["cascade"],
        mail_listener_port=settings.mail.listener_port or ports["mail_listener"],
        mailsink_port=ports["mailsink"],
        mailsink_control_port=ports["mailsink_control"],
        restate_identity=plan.restate_identity,
    )


def check_places(settings: Settings) -> None:
    """Check every port and file that was asked for. Raises PortInUse, ConfigError."""
    check_port("http.port", settings.http.host, settings.http.port)
    check_port("admin.port", settings.admin.host, settings.admin.port)
    check_port("admin.actor_port", LOOPBACK, settings.admin.actor_port)
    if settings.is_simulated:
        check_port("simulator.port", LOOPBACK, settings.simulator.port)
        check_log("simulator.log", settings.simulator.log)
    if settings.mail.listener:
        check_port("mail.listener_port", settings.mail.listener_host, settings.mail.listener_port)
    check_log("log.file", settings.log.file)
    check_socket("admin.socket", settings.admin.socket)


def check_log(key: str, path: str | None) -> None:
    """Raise ConfigError when a file that was asked for cannot be appended to."""
    if path is None:
        return
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError as error:
        raise ConfigError(f"{key}: {path} cannot be written: {error.strerror}") from error


def check_socket(key: str, path: str | None) -> None:
    """Raise ConfigError when no unix socket can be made at a path that was asked for."""
    if path is None:
        return
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise ConfigError(f"{key}: {path} is longer than {MAX_SOCKET_PATH_BYTES} bytes")
    if not os.access(folder := Path(path).resolve().parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{key}: {folder} is missing, or cannot be written by this user")


def check_port(key: str, host: str, port: int) -> None:
    """Raise PortInUse when a port is taken, ConfigError when its address is not ours."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(key, host, port) from error
            why = error.strerror or error
            raise ConfigError(f"{key}: cannot listen on {host}:{port}: {why}") from error


def watch(host: Host) -> None:
    """Start the actor system, and again when it ends unasked. Raises GaveUp."""
    wake, waker = socket.socketpair()
    waker.setblocking(False)

    def on_signal(_: int, __: FrameType | None) -> None:
        host.stopping = True

    old_wakeup = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    old = {number: signal.signal(number, on_signal) for number in stops()}
    starts: list[float] = []
    try:
        while not host.stopping:
            now = time.monotonic()
            starts = [*(t for t in starts if t >= now - START_PERIOD), now]
            if len(starts) > 1:
                end_orphans(host, "prepare")
            if len(starts) > MAX_STARTS:
                raise GaveUp(f"the actor system ended {MAX_STARTS} times in {START_PERIOD:g} s")
            live_once(host, wake)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(old_wakeup)
        wake.close()
        waker.close()


def live_once(host: Host, wake: socket.socket) -> None:
    """Live through one actor system: start it, pass on progress, and stop it when asked."""
    mine, theirs = socket.socketpair()
    pid = fork_starter(host, theirs)
    theirs.close()
    starter = os.pidfd_open(pid)
    with unwritten(host):
        host.plan.state.record(
            ProcessRecord("starter", pid, start_time(pid) or "", "hermes", signal.SIGKILL, 30.0)
        )
    asked_at: float | None = None
    limit = host.wiring.settings.supervision.stop_after * 2 + KILL_MARGIN
    waited: list[Any] = [starter, host.listener, wake]
    hearing = Hearing(host)
    try:
        while True:
            readable, _, _ = select.select(waited, [], [], 0.5)
            hearing.pass_on()
            if wake in readable:
                wake.recv(4096)
            if host.stopping and asked_at is None:
                asked_at = time.monotonic()
                host.say("stop", "stopping in order")
                with contextlib.suppress(OSError):  # the starter has just ended
                    mine.sendall(b"stop\n")
            if starter in readable:
                break
            if asked_at is not None and time.monotonic() > asked_at + limit:
                host.say("stop", f"not done after {limit:g} s, killing the rest")
                signal.pidfd_send_signal(starter, signal.SIGKILL)
    finally:
        mine.close()
        os.close(starter)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == BAD_START:
        raise ConfigError("the start was refused; the reason stands above")
    if host.stopping:
        end_orphans(host, "stop")
        host.say("stop", "stopped, nothing left running")
    else:
        host.say("hermesd", f"the actor system ended ({code}); starting it again")


def end_orphans(host: Host, part: str) -> None:
    """Stop what the actor system has left running."""
    with unwritten(host):
        stop_orphans(host.plan.state, lambda text: host.say(part, text))


@contextlib.contextmanager
def unwritten(host: Host) -> Iterator[None]:
    """Go on where the state file cannot be written: a full disk ends no daemon."""
    try:
        yield
    except OSError as error:
        host.say("hermesd", f"{host.plan.state.path} is not written: {error.strerror}")


class Hearing:
    """What one actor system tells of its start; a start that says nothing is not left unsaid."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.is_ready = False
        self.heard_at = time.monotonic()
        wiring = host.wiring
        self.log = wiring.settings.log.file or str(Path(wiring.data_dir) / "log" / "hermes.log")

    def pass_on(self) -> None:
        """Say what was told since the last call."""
        now = time.monotonic()
        for step in self.host.listener.read():
            self.host.say(*step)
            self.is_ready = self.is_ready or step.part == "ready"
            self.heard_at = now
        if not self.is_ready and not self.host.stopping and now > self.heard_at + SILENCE:
            self.host.say("hermesd", f"still starting; {self.log} says what it waits for")
            self.heard_at = now


def leave_to_parent(_: int, __: FrameType | None) -> None:
    """A signal to the whole process group: hermesd has it too, and stops the tree in order."""


def fork_starter(host: Host, control: socket.socket) -> int:
    """Fork the process that owns the actor system; give its pid."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, leave_to_parent)
        # hermesd itself stays without Thespian, so only the fork imports it
        from hermes.app import live  # noqa: PLC0415

        code = live(host.wiring, host.plan.specs, control, parent)
    except BaseException:  # noqa: BLE001 - a fork must never return into its parent's frames
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
