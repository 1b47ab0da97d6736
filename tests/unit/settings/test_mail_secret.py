"""The secret of return paths is made once, for its owner's eyes, and stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from hermes.core.ids import attempt_id, encode_message_id
from hermes.settings.mail_secret import read_or_make, verp_of
from hermes.settings.tree import Mail, Settings
from hermes.settings.wiring import Wiring

ATTEMPT = attempt_id(encode_message_id(UUID(int=7)), 0, 0)


def wiring_of(folder: Path, mail: Mail | None = None, host: str = "host-a") -> Wiring:
    """Make a wiring whose data is in a folder."""
    return Wiring(
        settings=Settings(mail=mail or Mail()),
        host=host,
        nats_url="nats://x",
        redis_url="redis://x",
        postgres_dsn="postgresql://x",
        data_dir=str(folder),
        run_dir=str(folder),
        socket_dir=str(folder),
    )


def test_what_one_process_signs_another_of_the_host_reads(tmp_path: Path) -> None:
    path = verp_of(wiring_of(tmp_path)).return_path(ATTEMPT)
    assert path.endswith("@host-a.invalid")
    assert verp_of(wiring_of(tmp_path)).attempt_of(path) == ATTEMPT
    assert [each.name for each in tmp_path.iterdir()] == ["verp-secret"]
    assert (tmp_path / "verp-secret").stat().st_mode & 0o777 == 0o600


def test_a_secret_that_is_given_makes_no_file(tmp_path: Path) -> None:
    mail = Mail(domain="Bounce.Acme.example", verp_secret="given")
    path = verp_of(wiring_of(tmp_path, mail)).return_path(ATTEMPT)
    assert path.endswith("@bounce.acme.example")
    assert verp_of(wiring_of(tmp_path, mail, "host-b")).attempt_of(path) == ATTEMPT
    assert list(tmp_path.iterdir()) == []


def test_processes_that_begin_at_once_have_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: read_or_make(tmp_path / "secret"), range(8)))
    assert len(made) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        read_or_make(tmp_path / "missing" / "secret")
