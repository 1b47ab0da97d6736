"""The data directory: place, modes, sockets, lock, free space."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hermes.embedded.data_dir import (
    DataDirLock,
    check_free_space,
    create_data_dir,
    default_data_dir,
)
from hermes.embedded.errors import DataDirLocked, DataDirUnusable, DiskFull
from hermes.embedded.socket_dir import MAX_SOCKET_PATH_BYTES, socket_dir


@pytest.mark.parametrize(
    ("environ", "euid", "expected"),
    [
        ({"HOME": "/root"}, 0, "/var/lib/hermes"),
        ({"XDG_DATA_HOME": "/x"}, 0, "/var/lib/hermes"),
        ({"XDG_DATA_HOME": "/x", "HOME": "/home/u"}, 1000, "/x/hermes"),
        ({"HOME": "/home/u"}, 1000, "/home/u/.local/share/hermes"),
        ({"XDG_DATA_HOME": "", "HOME": "/home/u"}, 1000, "/home/u/.local/share/hermes"),
    ],
)
def test_default_place_follows_the_user(environ: dict[str, str], euid: int, expected: str) -> None:
    assert default_data_dir(environ, euid) == Path(expected)


def test_user_without_home_is_told_to_set_the_key() -> None:
    with pytest.raises(DataDirUnusable, match=r"set host\.data_dir"):
        default_data_dir({}, 1000)


def test_directories_are_private_and_creation_repeats(tmp_path: Path) -> None:
    root = tmp_path / "a/hermes"
    data = create_data_dir(root)
    (data.run).chmod(0o755)  # as a careless copy would leave it
    assert create_data_dir(root) == data
    modes = {path.name: path.stat().st_mode & 0o777 for path in root.iterdir()}
    assert modes == dict.fromkeys(("nats", "redis", "restate", "run", "log", "pg-run"), 0o700)
    assert root.stat().st_mode & 0o777 == (0o755 if os.geteuid() == 0 else 0o700)


def test_one_root_reached_by_two_names_is_one_directory(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert create_data_dir(tmp_path / "real") == create_data_dir(tmp_path / "x/../link")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12_345, 12_345)
    with pytest.raises(DataDirUnusable, match="belongs to uid 12345 and this daemon runs as uid 0"):
        create_data_dir(tmp_path)


def test_a_file_in_the_way_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(DataDirUnusable, match="Not a directory"):
        create_data_dir(tmp_path / "data")


def test_second_lock_in_the_same_process_names_this_pid(tmp_path: Path) -> None:
    data = create_data_dir(tmp_path)
    with DataDirLock(data), pytest.raises(DataDirLocked) as locked:
        DataDirLock(data)
    assert locked.value.holder == os.getpid()
    with DataDirLock(data):
        pass


_HOLD = """
import os, sys
from pathlib import Path
from hermes.embedded.data_dir import DataDirLock, create_data_dir
lock = DataDirLock(create_data_dir(Path(sys.argv[1])))
child = os.fork() if sys.argv[2] == "fork" else None
if child != 0:
    print(child or os.getpid(), flush=True)
sys.stdin.read()
"""


def _holder(root: Path, kind: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _HOLD, root, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_lock_of_another_process_names_it_and_ends_with_it(tmp_path: Path) -> None:
    with _holder(tmp_path, "alone") as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        data = create_data_dir(tmp_path)
        with pytest.raises(DataDirLocked, match=f"in use by the daemon with pid {pid}") as locked:
            DataDirLock(data)
        assert locked.value.holder == pid
        process.kill()
        process.wait()
        with DataDirLock(data):
            pass


def test_forked_child_of_a_killed_daemon_does_not_keep_the_lock(tmp_path: Path) -> None:
    with _holder(tmp_path, "fork") as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
        process.wait()
        os.kill(child, 0)  # it lives on, reading standard input
        with DataDirLock(create_data_dir(tmp_path)):
            pass


def test_too_little_space_is_said_with_both_numbers(tmp_path: Path) -> None:
    data = create_data_dir(tmp_path)
    assert check_free_space(data, 1) > 1
    with pytest.raises(DiskFull, match=r"has \d+ MB free, 1099511627776 MB are needed"):
        check_free_space(data, 2**60)


def test_short_path_keeps_its_sockets(tmp_path: Path) -> None:
    assert socket_dir(tmp_path, "s") == tmp_path


@pytest.fixture
def short_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private stand-in for the system's temporary directory."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return tmp_path


def test_long_path_gets_the_same_short_private_directory_each_time(short_tmp: Path) -> None:
    wanted = short_tmp / ("x" * MAX_SOCKET_PATH_BYTES)
    short = socket_dir(wanted, "s")
    assert short.parent == short_tmp
    assert short.stat().st_mode & 0o777 == 0o700
    assert socket_dir(wanted, "s") == short
    assert socket_dir(wanted.with_name("y" * MAX_SOCKET_PATH_BYTES), "s") != short


def test_limit_counts_the_socket_to_the_byte(short_tmp: Path) -> None:
    room = MAX_SOCKET_PATH_BYTES - len(str(short_tmp)) - len("//s")
    fits, long = short_tmp / ("x" * room), short_tmp / ("x" * (room + 1))
    assert socket_dir(fits, "s") == fits
    assert socket_dir(long, "s") != long


def test_short_directory_open_to_others_is_refused(short_tmp: Path) -> None:
    wanted = short_tmp / ("x" * MAX_SOCKET_PATH_BYTES)
    socket_dir(wanted, "s").chmod(0o777)
    with pytest.raises(DataDirUnusable, match="is not private: remove it"):
        socket_dir(wanted, "s")


def test_short_directory_that_is_a_link_is_refused(short_tmp: Path) -> None:
    wanted = short_tmp / ("x" * MAX_SOCKET_PATH_BYTES)
    short = socket_dir(wanted, "s")
    short.rmdir()
    short.symlink_to(short_tmp)
    with pytest.raises(DataDirUnusable, match="is not private"):
        socket_dir(wanted, "s")
