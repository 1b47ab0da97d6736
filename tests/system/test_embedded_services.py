"""The real services: from an empty directory to an orderly end, through kills, as root and not."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import monotonic

import nats
import psycopg
import pytest
import redis

from hermes.embedded.data_dir import default_data_dir
from hermes.embedded.endpoints import Endpoints
from hermes.embedded.errors import DataDirLocked, DataDirUnusable, InitialiseFailed
from hermes.embedded.locate import locate_nats, locate_postgres, locate_restate, locate_valkey
from hermes.embedded.plan import ServiceOptions, plan_services
from hermes.embedded.postgres_install import copy_install, enterable_by_others
from hermes.embedded.probe import probe
from hermes.embedded.state_file import StateFile, start_time
from hermes.testing.services import ServiceRunner, options_for_tests, running_services

pytestmark = pytest.mark.services

PublicDir = Callable[[], Path]
ALL = ("nats", "valkey", "postgres", "restate")
INSTALLED = ALL if locate_restate() else ALL[:3]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def _left_behind(data_dir: Path) -> list[int]:
    """Pids of living processes whose command line or working directory names the directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            cwd = (entry / "cwd").readlink()
        except OSError:
            continue
        is_ours = os.fsencode(data_dir) in command or cwd.is_relative_to(data_dir)
        if is_ours and start_time(int(entry.name)) and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def _wait_until_gone(data_dir: Path, timeout_s: float = 10.0) -> None:
    deadline = monotonic() + timeout_s
    while left := _left_behind(data_dir):
        assert monotonic() < deadline, f"still alive: {left}"


async def _probe_all(runner: ServiceRunner) -> None:
    for spec in runner.plan.specs:
        await probe(spec.ready)


async def _write_nats(endpoints: Endpoints) -> None:
    client = await nats.connect(endpoints.nats_url)
    stream = client.jetstream()
    await stream.add_stream(name="KEPT", subjects=["kept.>"])
    await stream.publish("kept.one", b"1")
    await client.close()


async def _read_nats(endpoints: Endpoints) -> int:
    client = await nats.connect(endpoints.nats_url)
    info = await client.jetstream().stream_info("KEPT")
    await client.close()
    return int(info.state.messages)


def _write(endpoints: Endpoints) -> None:
    asyncio.run(_write_nats(endpoints))
    with redis.Redis.from_url(endpoints.redis_url) as client:
        client.set("kept", "1")
    with psycopg.connect(endpoints.postgres_dsn) as connection:
        connection.execute("create table kept as select 1 as one")


def _assert_kept(endpoints: Endpoints) -> None:
    assert asyncio.run(_read_nats(endpoints)) == 1
    with redis.Redis.from_url(endpoints.redis_url) as client:
        assert client.get("kept") == b"1"
    with psycopg.connect(endpoints.postgres_dsn) as connection:
        assert connection.execute("select one from kept").fetchall() == [(1,)]


def test_services_start_from_nothing_survive_kill_9_and_end_by_their_own_signals(
    public_dir: PublicDir,
) -> None:
    data_dir = public_dir()
    plan = plan_services(options_for_tests(INSTALLED, data_dir))
    with ServiceRunner(plan) as runner:
        runner.start()
        asyncio.run(_probe_all(runner))
        _write(runner.endpoints)
        for name in INSTALLED:
            runner.kill(name)
            runner.start(name)
        asyncio.run(_probe_all(runner))
        _assert_kept(runner.endpoints)
        codes = runner.stop()
    assert set(codes) == set(INSTALLED)
    assert -signal.SIGKILL not in codes.values()
    assert {codes[name] for name in ("valkey", "postgres")} == {0}
    assert _left_behind(data_dir) == []
    assert StateFile(plan.data.state_file).read().processes == {}


def test_next_start_finds_the_same_endpoints_and_the_data(public_dir: PublicDir) -> None:
    data_dir, progress = public_dir(), list[str]()
    with running_services(ALL[:3], data_dir, progress.append) as first:
        _write(first)
    assert progress == ["creating the PostgreSQL cluster"]
    with running_services(ALL[:3], data_dir, progress.append) as second:
        _assert_kept(second)
    assert second == first
    assert len(progress) == 1


def test_orphans_of_a_killed_daemon_are_stopped_before_the_next_start(
    public_dir: PublicDir,
) -> None:
    options = options_for_tests(INSTALLED, public_dir())
    killed = ServiceRunner(plan_services(options))
    killed.start()
    _write(killed.endpoints)
    with pytest.raises(DataDirLocked, match=f"pid {os.getpid()}"):
        plan_services(options)
    killed.plan.lock.release()

    said: list[str] = []
    plan = plan_services(options, said.append)
    assert {orphan.name for orphan in plan.orphans} == set(INSTALLED)
    assert not any(orphan.killed for orphan in plan.orphans)
    assert len([line for line in said if "left by an earlier daemon" in line]) == len(INSTALLED)
    for process in killed.processes.values():
        process.wait(1)
    with ServiceRunner(plan) as runner:
        runner.start()
        _assert_kept(runner.endpoints)


def test_a_query_that_outlives_a_killed_postmaster_does_not_delay_the_next_start(
    public_dir: PublicDir,
) -> None:
    busy = "do $$ begin for i in 1..2000000000 loop perform i; end loop; end $$"
    with ServiceRunner(plan_services(options_for_tests(("postgres",), public_dir()))) as runner:
        runner.start()
        dsn = runner.endpoints.postgres_dsn
        with (
            closing(psycopg.connect(dsn)) as client,
            closing(psycopg.connect(dsn, autocommit=True)) as watch,
        ):
            client.pgconn.send_query(busy.encode())
            active = "select count(*) from pg_stat_activity where pid = %s and query like 'do %%'"
            while watch.execute(active, (client.info.backend_pid,)).fetchone() != (1,):
                pass
            pid = client.info.backend_pid
            runner.kill("postgres")
            assert start_time(pid), "the query runs on without its postmaster"
            runner.start("postgres")
            assert start_time(pid) is None


_PARENT = """
import sys
from pathlib import Path
from hermes.embedded.plan import plan_services
from hermes.testing.services import ServiceRunner, options_for_tests
runner = ServiceRunner(plan_services(options_for_tests(sys.argv[2:], Path(sys.argv[1]))))
runner.start()
print("ready", flush=True)
sys.stdin.read()
"""


def test_no_service_outlives_a_parent_killed_with_9(public_dir: PublicDir) -> None:
    data_dir = public_dir()
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, data_dir, *INSTALLED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        assert len(_left_behind(data_dir)) > len(INSTALLED)
        parent.kill()
    _wait_until_gone(data_dir)


@as_root
def test_root_runs_postgres_as_nobody_and_keeps_everything_else_closed(
    public_dir: PublicDir,
) -> None:
    data_dir = public_dir()
    with running_services(("postgres",), data_dir):
        nobody = pwd.getpwnam("nobody").pw_uid
        owners = {path.name: path.stat().st_uid for path in data_dir.iterdir()}
        assert owners["pg"] == owners["pg-run"] == nobody
        modes = {p.name: p.stat().st_mode & 0o777 for p in data_dir.iterdir() if p.is_dir()}
        closed = ("log", "nats", "pg", "pg-run", "redis", "restate", "run")
        assert modes == dict.fromkeys(closed, 0o700)
        state = StateFile(data_dir / "run/state.json").read().processes["postgres"]
        assert Path(f"/proc/{state.pid}").stat().st_uid == nobody


@as_root
def test_root_copies_postgres_out_of_a_closed_directory(public_dir: PublicDir) -> None:
    closed = public_dir()
    bin_dir = copy_install(locate_postgres().bin_dir, closed / "venv", "any")
    (closed / "venv").chmod(0o700)
    data_dir, progress = public_dir(), list[str]()
    options = replace(options_for_tests(("postgres",), data_dir), postgres_bin_dir=str(bin_dir))
    for _ in range(2):
        with ServiceRunner(plan_services(options, progress.append)) as runner:
            runner.start()
            (spec,) = runner.plan.specs
            assert Path(spec.binary).is_relative_to(data_dir / "pg-bin")
    assert progress == [
        "copying PostgreSQL's programs to where their user can enter",
        "creating the PostgreSQL cluster",
    ]


@as_root
def test_root_is_told_which_directory_keeps_postgres_out(public_dir: PublicDir) -> None:
    closed = public_dir()
    closed.chmod(0o700)
    with pytest.raises(DataDirUnusable, match=f"nobody, who cannot pass {closed} "):
        plan_services(options_for_tests(("postgres",), closed / "data"))


def test_data_of_another_major_version_is_refused(public_dir: PublicDir) -> None:
    data_dir = public_dir()
    pg = data_dir / "pg"
    pg.mkdir(mode=0o700)
    (pg / "PG_VERSION").write_text("15\n")
    with pytest.raises(InitialiseFailed, match="made by version 15 and the program is version"):
        plan_services(options_for_tests(("postgres",), data_dir))
    assert sorted(path.name for path in pg.iterdir()) == ["PG_VERSION"]


def test_a_cluster_creation_cut_short_is_repeated(public_dir: PublicDir) -> None:
    data_dir = public_dir()
    (data_dir / "pg.new").mkdir(mode=0o700)
    (data_dir / "pg.new/PG_VERSION").write_text("18\n")
    with running_services(("postgres",), data_dir) as endpoints:
        with psycopg.connect(endpoints.postgres_dsn) as connection:
            row = connection.execute("select current_user, current_database()").fetchone()
        assert row == ("hermes", "hermes")
    assert not (data_dir / "pg.new").exists()


def test_a_pid_file_that_names_another_program_does_not_stop_postgres(
    public_dir: PublicDir,
) -> None:
    data_dir = public_dir()
    with running_services(("postgres",), data_dir):
        text = (data_dir / "pg/postmaster.pid").read_text()
    stale = text.replace(text.split("\n")[0], str(os.getpid()), 1)
    (data_dir / "pg/postmaster.pid").write_text(stale)
    progress: list[str] = []
    with running_services(("postgres",), data_dir, progress.append):
        assert f"pid {os.getpid()} is " in progress[-1]


def test_a_data_directory_with_a_long_name_gets_short_socket_paths(public_dir: PublicDir) -> None:
    data_dir = public_dir() / ("long" * 30)
    plan = plan_services(options_for_tests(("valkey", "postgres"), data_dir))
    with ServiceRunner(plan) as runner:
        runner.start()
        endpoints = runner.endpoints
        assert str(data_dir) not in endpoints.redis_url
        with redis.Redis.from_url(endpoints.redis_url) as client:
            assert client.ping()
        with psycopg.connect(endpoints.postgres_dsn) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    for short in (plan.data.run_sockets, plan.data.pg_sockets):
        assert short.stat().st_mode & 0o777 == 0o700
        shutil.rmtree(short)


def _ordinary_user() -> pwd.struct_passwd:
    users = [user for user in pwd.getpwall() if 1000 <= user.pw_uid < 60_000]
    return users[0] if users else pwd.getpwnam("nobody")


def _public_options(public_dir: PublicDir, names: tuple[str, ...]) -> ServiceOptions:
    """Options whose binaries an ordinary user reaches: copied if theirs lie in a closed place."""
    options = replace(options_for_tests(names, Path()), data_dir=None)
    nats_server, valkey, postgres = locate_nats(), locate_valkey(), locate_postgres()
    if not any(map(enterable_by_others, (nats_server.binary, valkey.binary, postgres.binary))):
        return options
    place = public_dir()
    return replace(
        options,
        names=options.names - {"restate"},  # too large to copy
        nats_bin=str(shutil.copy(nats_server.binary, place)),
        redis_bin=str(shutil.copy(valkey.binary, place)),
        postgres_bin_dir=str(copy_install(postgres.bin_dir, place / "pg", "any")),
    )


def _in_child(work: Callable[[], dict[str, object]]) -> dict[str, object]:
    """Run work in a fork and return its result; a fault in it is raised as text."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
        pid = os.fork()
    if pid == 0:
        answer: dict[str, object] | None = None
        try:
            answer = work()
        finally:
            if answer is None:
                answer = {"fault": traceback.format_exc()}
            os.write(writer, json.dumps(answer).encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        result: dict[str, object] = json.loads(stream.read() or "{}")
    os.waitpid(pid, 0)
    assert "fault" not in result, result["fault"]
    return result


@as_root
def test_an_ordinary_user_runs_all_of_it_below_its_home(
    public_dir: PublicDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, home = _ordinary_user(), public_dir()
    os.chown(home, user.pw_uid, user.pw_gid)
    options = _public_options(public_dir, INSTALLED)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with running_services(INSTALLED, public_dir()) as loaded:
        _write(loaded)  # import all now: the user may not be able to read the standard library

    def work() -> dict[str, object]:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        with ServiceRunner(plan_services(options)) as runner:
            runner.start()
            _write(runner.endpoints)
            runner.kill("postgres")
            runner.start("postgres")
            _assert_kept(runner.endpoints)
            root = runner.plan.data.root
            return {"root": str(root), "mode": root.stat().st_mode & 0o777, "codes": runner.stop()}

    result = _in_child(work)
    expected = default_data_dir({"HOME": str(home)}, user.pw_uid)
    assert (result["root"], result["mode"]) == (str(expected), 0o700)
    assert set(result["codes"]) == options.names  # type: ignore[call-overload]
    assert _left_behind(home) == []


@as_root
def test_a_uid_without_passwd_entry_is_told_to_use_an_external_postgres(
    public_dir: PublicDir,
) -> None:
    home = public_dir()
    uid = next(n for n in range(70_000, 80_000) if not _has_entry(n))
    os.chown(home, uid, uid)
    options = replace(_public_options(public_dir, ("postgres",)), data_dir=home / "data")
    plan_services(replace(options, data_dir=public_dir())).lock.release()  # import all, as above

    def work() -> dict[str, object]:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        try:
            plan_services(options)
        except InitialiseFailed as error:
            return {"said": str(error)}
        return {}

    said = _in_child(work)["said"]
    assert f"uid {uid} has no passwd entry" in str(said)
    assert "set postgres.url" in str(said)


def _has_entry(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
