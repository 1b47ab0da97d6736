"""An ordinary user runs a daemon of its own, and is told what is another user's."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hermes.testing.daemon_process import DaemonProcess, running_daemon
from tests.system.front_door import final, post

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a daemon as somebody else"),
]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonProcess]:
    """A daemon of the user nobody, in a home directory of its own."""
    user = pwd.getpwnam("nobody").pw_uid
    python = interpreter_for(user)
    home = Path(tempfile.mkdtemp(prefix="hermes-home-"))
    os.chown(home, user, user)
    packages = os.pathsep.join((str(ROOT), sysconfig.get_path("purelib")))
    env = {"HOME": str(home), "PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        with running_daemon(env, start=False) as running:
            running.data = home / "hermes"
            running.python, running.user = python, user
            running.start()
            yield running
    finally:
        shutil.rmtree(home, ignore_errors=True)


def interpreter_for(user: int) -> str:
    """Find a Python on the path that the user can reach; skips the test without one."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    who = {"user": user, "group": user, "extra_groups": []}
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), sysconfig.get_path("purelib")))}
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    for python in (sys.executable, *(f"{folder}/{name}" for folder in folders)):
        argv = ["/usr/bin/env", python, "-B", "-c", "import hermes.app, hermes.frontdoor.__main__"]
        try:
            tried = subprocess.run(argv, env=env, capture_output=True, check=False, **who)  # type: ignore[call-overload]
        except OSError:
            continue
        if tried.returncode == 0:
            return python
    pytest.skip(f"uid {user} cannot run Hermes by {sys.executable}, nor by a {name} on the path")


def test_an_ordinary_user_runs_a_daemon_in_its_own_home(daemon: DaemonProcess) -> None:
    assert {owner(pid) for pid in daemon.pids()} == {daemon.user}
    assert final(daemon, post(daemon, "+4540000010"))["state"] == "delivered"
    sent = daemon.run("send", "--to", "+4540000020", "--text", "hi", "--wait")
    assert (sent.returncode, sent.stdout.split()[1:]) == (0, ["delivered"])
    assert daemon.data.stat().st_mode & 0o777 == 0o700
    assert (daemon.data / "demo-key").stat().st_mode & 0o777 == 0o600


def owner(pid: int) -> int:
    """Give the uid of a process."""
    return Path(f"/proc/{pid}").stat().st_uid


def test_what_is_another_users_is_refused_in_one_sentence(
    daemon: DaemonProcess, tmp_path: Path
) -> None:
    theirs = tmp_path / "data"
    (theirs / "run").mkdir(parents=True)
    for folder in (theirs, theirs / "run", tmp_path):
        folder.chmod(0o700)
    stranger = replace(daemon, env={**daemon.env, "HERMES_HOST__DATA_DIR": str(theirs)})
    for words, code, why in (
        (("status",), 77, "belongs to another user"),
        (("run",), 73, f"data directory {theirs} cannot be used"),
        (("run", "--config", str(theirs)), 78, "cannot be read: Permission denied"),
    ):
        done = stranger.run(*words)
        assert done.returncode == code, done
        assert why in done.stderr
        assert done.stderr.startswith("hermes: ")
        assert len(done.stderr.splitlines()) == 1
