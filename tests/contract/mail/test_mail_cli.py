"""`hermes mail` against a running sink."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from typer.testing import CliRunner

from hermes.cli.exit_code import CommandExit
from hermes.cli.main import app
from hermes.core.carrier import Bind, Carrier, Tls
from hermes.mailsink.behaviour import BEHAVIOURS
from hermes.mailsink.control import Control
from hermes.mailsink.sink import Sink, SinkSettings
from hermes.settings.tree import Settings
from hermes.settings.wiring import Wiring, save
from tests.contract.mail.relay_client import client

CONTENT = b"Subject: hi [bold]\r\nFrom: hello@acme.example\r\n\r\nYour code is 1234.\r\n"
OTHERS = Carrier(
    id="acme", bind=(Bind(id="1", host="h", port=1, system_id="s", tls=Tls(insecure=True)),)
)


async def run(*words: str) -> tuple[int, bytes, str]:
    """Exit code, standard output and standard error of `hermes mail`."""
    done = await asyncio.to_thread(CliRunner().invoke, app, ["mail", *words])
    return done.exit_code, done.stdout_bytes, done.stderr


@dataclass
class Stand:
    """A sink's control API."""

    port: int

    async def said(self, *words: str) -> str:
        """What a command prints when all is well."""
        code, out, err = await run(*words, "--control", f"http://127.0.0.1:{self.port}")
        assert (code, err) == (0, "")
        return out.decode()


@asynccontextmanager
async def mailed(*recipients: str) -> AsyncIterator[Stand]:
    """Run a sink that took a mail for each of these."""
    sink = Sink(SinkSettings())
    await sink.start()
    runner = web.AppRunner(Control(sink).application(), shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with client(sink.port) as made:
            await made.opened()
            for recipient in recipients:
                assert (await made.send(recipient, content=CONTENT)).is_accepted
        yield Stand(runner.addresses[0][1])
    finally:
        await runner.cleanup()
        await sink.stop()


async def test_mails_are_listed_the_latest_last() -> None:
    async with mailed("anna@x.example", "bo@x.example", "bounce@x.example") as stand:
        lines = (await stand.said("list")).splitlines()
        assert [line.split()[0] for line in lines] == ["mail", "1", "2", "3"]
        assert "hi [bold]" in lines[1]
        assert lines[3].split()[-1] == "bounce"
        assert len((await stand.said("list", "--limit", "1")).splitlines()) == 2
        listed = json.loads(await stand.said("list", "--to", "BO@x.example", "--json"))["mails"]
        assert [mail["number"] for mail in listed] == [2]
        assert await stand.said("list", "--to", "nobody@x.example") == "no mail is kept\n"


async def test_one_mail_is_shown_and_given_as_it_came() -> None:
    async with mailed("anna@x.example") as stand:
        lines = (await stand.said("show", "1")).splitlines()
        assert "Subject: hi [bold]" in lines
        assert lines[-1] == "Your code is 1234."
        assert any("<anna@x.example>" in line for line in lines)
        assert json.loads(await stand.said("show", "1", "--json"))["recipient"] == "anna@x.example"
        assert (await stand.said("raw", "1")).encode() == CONTENT


async def test_a_mail_that_is_not_kept_is_refused_in_a_sentence() -> None:
    async with mailed("anna@x.example") as stand:
        assert await stand.said("forget") == "nothing is kept; the next mail has number 2\n"
        for word in ("show", "raw"):
            code, out, err = await run(word, "1", "--control", f"http://127.0.0.1:{stand.port}")
            assert (code, out) == (CommandExit.FAILED, b"")
            assert "no mail 1 is kept" in err


async def test_every_behaviour_is_listed() -> None:
    async with mailed() as stand:
        lines = (await stand.said("behaviours")).splitlines()
        assert [line.split()[0] for line in lines[1:-1]] == list(BEHAVIOURS)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(carrier=(OTHERS,)), "the daemon here has no mail sink"),
        (Settings(), "no mail sink answers at http://127.0.0.1:1"),
    ],
)
async def test_without_a_sink_a_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings, words: str
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("HERMES_HOST__DATA_DIR", str(tmp_path))
    save(
        Wiring(
            settings=settings,
            host="a",
            nats_url="nats://x",
            redis_url="redis://x",
            postgres_dsn="postgresql://x",
            data_dir=str(tmp_path),
            run_dir=str(tmp_path / "run"),
            socket_dir=str(tmp_path / "run"),
            mailsink_control_port=1,
        )
    )
    code, out, err = await run("list")
    assert (code, out) == (CommandExit.UNAVAILABLE, b"")
    assert words in " ".join(err.split())
