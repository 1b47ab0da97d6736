"""`hermes sim` against a running simulator."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hermes.cli import sim
from hermes.cli.exit_code import CommandExit
from hermes.cli.main import app
from hermes.settings import load
from hermes.settings.wiring import Wiring, save
from hermes.simulator.fault import FAULTS
from hermes.simulator.profile import Profile
from hermes.smpp.data_coding import Alphabet
from tests.contract.simulator_esme import DEADLINE_S, Bench, eventually, running


async def run(*words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `hermes sim`."""
    done = await asyncio.to_thread(CliRunner().invoke, app, ["sim", *words])
    return done.exit_code, done.stdout, done.stderr


async def said(bench: Bench, *words: str) -> str:
    """What a command prints when all is well."""
    code, out, err = await run(*words, "--control", control(bench))
    assert (code, err) == (0, "")
    return out


def control(bench: Bench) -> str:
    return f"http://127.0.0.1:{bench.simulator.control_port}"


async def test_a_fault_is_switched_on_shown_and_lifted() -> None:
    async with running() as bench:
        esme = await bench.bound()
        words = ("fault", "refuse_submits", "status=0x14", "percent=100.0")
        assert await said(bench, *words) == "refuse_submits is on, it hits 1 session now\n"
        assert (await esme.submitted()).command_status == 0x14
        table = (await said(bench, "faults")).splitlines()
        (row,) = (line for line in table if "refuse_submits" in line)
        assert " on " in row
        assert "status=20 percent=100.0 answer=bare" in row
        assert "refuse_submits status=20" in await said(bench, "stats")
        assert await said(bench, "lift", "refuse_submits") == "refuse_submits is off\n"
        assert await said(bench, "lift", "refuse_submits") == "refuse_submits was not on\n"
        assert (await esme.submitted()).command_status == 0


async def test_a_fault_that_happens_once_says_whom_it_hit() -> None:
    async with running() as bench:
        esme = await bench.bound()
        # digits are octets here, not a number
        hit = await said(bench, "fault", "inject", "hex=00000010800000060000000000000063")
        assert hit == "inject hit 1 session\n"
        await eventually(lambda: esme.received[-1].sequence_number == 0x63)
        assert await said(bench, "fault", "drop", "system_id=other") == "drop hit 0 sessions\n"


async def test_every_fault_is_listed_with_what_it_does() -> None:
    async with running() as bench:
        lines = (await said(bench, "faults")).splitlines()
        assert [line.split()[0] for line in lines[1:-1]] == list(FAULTS)
        table = json.loads(await said(bench, "faults", "--json"))["table"]
        assert list(table) == list(FAULTS)


async def test_settings_are_shown_and_changed() -> None:
    async with running() as bench:
        names = [line.split()[0] for line in (await said(bench, "set")).splitlines()]
        assert names == list(Profile.__struct_fields__)
        words = ("tps=0x14", "dead_numbers=44", "frames=true", "receipt_template=id:{id}\\u0000")
        changed = (await said(bench, "set", *words)).splitlines()
        assert [line.split()[0] for line in changed] == [
            "tps",
            "receipt_template",
            "dead_numbers",
            "frames",
        ]
        settings = json.loads(await said(bench, "set", "--json"))
        assert (settings["tps"], settings["dead_numbers"], settings["frames"]) == (20, "44", True)
        assert settings["receipt_template"] == "id:{id}\\u0000"
        await said(bench, "set", 'receipt_template="id:{id}\\u0000"')  # JSON has escapes
        settings = json.loads(await said(bench, "set", "--json"))
        assert settings["receipt_template"] == "id:{id}\0"


async def test_a_message_comes_from_a_handset() -> None:
    async with running() as bench:
        esme = await bench.bound()
        out = await said(bench, "mo", "--from", "4477", "--to", "80080", "--text", "x" * 200)
        assert out == "on its way: mo-1.1, mo-1.2\n"
        words = ("--hex", "04b6", "--data-coding", "0x08", "--account", "tester")
        out = await said(bench, "mo", "--from", "4477", "--to", "80080", *words)
        assert out == "on its way: mo-2\n"
        await eventually(lambda: len(esme.delivered) == 3)
        assert esme.delivered[2].number("data_coding") == 8


async def test_the_log_is_shown_to_people_and_programs() -> None:
    async with running(default_alphabet=Alphabet.LATIN1) as bench:
        esme = await bench.bound()
        await esme.submitted(text=b"\x1b[2J", registered_delivery=0)
        out = await said(bench, "log")
        assert [line.split()[2] for line in out.splitlines()] == ["start", "bind", "submit"]
        assert "text=\\x1b[2J" in out  # and the terminal is not cleared
        lines = (await said(bench, "log", "--since", "2", "--json")).splitlines()
        assert [json.loads(line)["event"] for line in lines] == ["submit"]
        for _ in range(60):
            await esme.submitted(registered_delivery=0)
        assert len((await said(bench, "log")).splitlines()) == sim.LAST_LINES


async def test_the_log_goes_on_with_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    has_looked, look_again = threading.Event(), threading.Event()

    def pause(_seconds: float) -> None:
        if look_again.is_set():
            raise KeyboardInterrupt  # Ctrl-C
        has_looked.set()
        assert look_again.wait(DEADLINE_S)

    monkeypatch.setattr(sim, "pause", pause)
    async with running() as bench:
        shown = asyncio.create_task(said(bench, "log", "--since", "1", "--follow"))
        assert await asyncio.to_thread(has_looked.wait, DEADLINE_S)
        await bench.fault("pause_receipts")
        look_again.set()
        (line,) = (await shown).splitlines()
        assert "fault         name=pause_receipts  on=true" in line


async def test_a_reset_goes_back_to_the_start() -> None:
    async with running() as bench:
        await bench.fault("black_hole")
        out = await said(bench, "reset")
        assert out == "as at the start; the next message has number 1000\n"
        assert json.loads(await said(bench, "stats", "--json"))["faults"] == {}


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (
            ("fault", "flood"),
            CommandExit.FAILED,
            "there is no fault flood; there are drop, inject, ",
        ),
        (
            ("lift", "flood"),
            CommandExit.FAILED,
            "there is no fault flood; there are drop, inject, ",
        ),
        (("fault", "inject"), CommandExit.FAILED, "hex: required"),
        (("fault", "drop", "how=softly"), CommandExit.FAILED, "how: invalid enum value 'softly'"),
        (("fault", "drop", "when=now"), CommandExit.FAILED, "when: no such field"),
        (("fault", "drop", "how"), CommandExit.USAGE, "how: expected KEY=VALUE"),
        (("set", "window=-1"), CommandExit.FAILED, "window: expected `int` >= 0"),
        (("set", "port=1"), CommandExit.FAILED, "port: is fixed at the start"),
        (("mo", "--from", "1", "--to", "2"), CommandExit.FAILED, "text: give either text or hex"),
    ],
)
async def test_a_refusal_is_one_sentence(
    words: tuple[str, ...], code: CommandExit, sentence: str
) -> None:
    async with running() as bench:
        await bench.bound()
        exit_code, out, err = await run(*words, "--control", control(bench))
        assert (exit_code, out) == (code, "")
        assert err.startswith(f"hermes: {sentence}")
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "code", "sentence"),
    [
        ("http://127.0.0.1:1", CommandExit.UNAVAILABLE, "no simulator answers at http://127.0.0.1"),
        ("localhost:80", CommandExit.USAGE, "--control localhost:80: expected http://host:port"),
        ("http://[", CommandExit.USAGE, "--control http://[: "),
    ],
)
async def test_a_place_without_a_simulator_is_one_sentence(
    url: str, code: CommandExit, sentence: str
) -> None:
    exit_code, out, err = await run("stats", "--control", url)
    assert (exit_code, out) == (code, "")
    assert err.startswith(f"hermes: {sentence}")
    assert len(err.splitlines()) == 1


def wire(place: Path, control_port: int) -> None:
    """A daemon of this user ran with this simulator."""
    (place / "run").mkdir()
    save(
        Wiring(
            settings=load(None),
            host="here",
            nats_url="",
            redis_url="",
            postgres_dsn="",
            data_dir=str(place),
            run_dir=str(place / "run"),
            socket_dir=str(place / "run"),
            simulator_control_port=control_port,
        )
    )


async def test_the_simulated_carrier_of_this_hosts_daemon_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERMES_HOST__DATA_DIR", str(tmp_path))
    code, _, err = await run("stats")
    assert code == CommandExit.UNAVAILABLE
    assert "no daemon has run here" in err
    async with running() as bench:
        assert bench.simulator.control_port is not None
        wire(tmp_path, bench.simulator.control_port)
        code, out, err = await run("stats")
        assert (code, err) == (0, "")
        assert out.startswith("nobody is connected")


async def test_a_daemon_with_real_carriers_has_none_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERMES_HOST__DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HERMES_SIMULATOR__ENABLED", "false")
    wire(tmp_path, 1)
    code, out, err = await run("stats")
    assert (code, out) == (CommandExit.UNAVAILABLE, "")
    assert "has no simulated carrier" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("word", sim.COMMANDS)
async def test_every_command_explains_itself_and_its_exit_codes(word: str) -> None:
    code, out, _ = await run(word, "--help")
    assert code == 0
    assert "--control" in out
    assert "codes: 0 done;" in " ".join(out.split())
