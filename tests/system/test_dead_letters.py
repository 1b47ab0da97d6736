"""What nobody can read is set aside once, holds up nothing, and comes back when asked to.

One daemon is fed whatever another version, a fault or a stranger might have written.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from time import time
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner
from uuid_utils.compat import uuid7

from hermes.adapters.ensure_jetstream import JetStreamAdmin
from hermes.adapters.redis_memory import RedisMemory
from hermes.adapters.stream_jetstream import JetStream
from hermes.cli.main import app
from hermes.core.event import Event, Source, encode_envelope
from hermes.core.ids import encode_message_id
from hermes.core.job import Job, encode_job
from hermes.ports.claims import claim_key
from hermes.ports.stream import Backlog, BeltSettings
from hermes.testing.daemon_process import (
    SCALED,
    CarrierProcess,
    Client,
    DaemonProcess,
    client_of,
    running_carrier,
    running_daemon,
)

pytestmark = pytest.mark.daemon

NUMBER, TEXT = "+4599887766", "nobody may read this in a letter"
SUBJECT = "jobs.sms.sim.transactional.0"
GOOD_PLAN, NEWER_PLAN = '{"steps":[{"channel":"sms"}]}', '{"steps":[{"channel":"?pigeon"}]}'


@pytest.fixture(scope="module")
def carrier() -> Iterator[CarrierProcess]:
    with running_carrier(latency_ms=200, receipt_delay_ms=50) as running:
        yield running


@pytest.fixture(scope="module")
def daemon(carrier: CarrierProcess) -> Iterator[DaemonProcess]:
    with running_daemon(SCALED, config=carrier.configure(window=1)) as running:
        yield running


def now() -> datetime:
    return datetime.fromtimestamp(time(), UTC)


@dataclass
class Inside:
    """The daemon's stores, as somebody who writes rubbish into them reaches them."""

    daemon: DaemonProcess
    belt: JetStream
    ledger: psycopg.AsyncConnection[Any]

    async def put(self, subject: str, data: bytes) -> int:
        """Publish; give the sequence."""
        return (await self.belt.publish(subject, data, uuid4().hex)).seq

    async def add_message(self, message: UUID, *, plan: str, due: bool, state: str) -> str:
        """Write a message into the ledger; its clock is due now, or in an hour."""
        at = now() - timedelta(seconds=1) if due else now() + timedelta(hours=1)
        action = "admit" if state == "accepted" else None
        await self.ledger.execute(
            "insert into message (id, tenant, state, traffic, segments, success, accepted_at,"
            " expires_at, next_at, next_action)"
            " values (%s, 'demo', %s, 'transactional', 1, 'delivered', now(),"
            " now() + interval '1 hour', %s, %s)",
            (message, state, at if action else None, action),
        )
        await self.ledger.execute(
            "insert into message_body (message, recipient, sender, body, plan)"
            " values (%s, '+4510101010', 'Hermes', 'hi', %s)",
            (message, plan),
        )
        return encode_message_id(message)

    async def add_attempt(self, message: UUID, job_seq: int) -> None:
        """Write a queued attempt whose job lay there on the belt."""
        await self.ledger.execute(
            "insert into attempt (message, step, n, tenant, carrier, segments, expires_at,"
            " stream_created, job_seq, next_at, next_action) values (%s, 0, 0, 'demo', 'sim', 1,"
            " now() + interval '1 hour', now() - interval '1 hour', %s,"
            " now() + interval '1 hour', 'expire')",
            (message, job_seq),
        )

    async def state(self, message: UUID) -> str:
        """Give a message's state."""
        cursor = await self.ledger.execute("select state from message where id = %s", (message,))
        row = await cursor.fetchone()
        return "absent" if row is None else str(row[0])

    def letters(self) -> list[dict[str, Any]]:
        """Give every dead letter."""
        answer = self.daemon.admin("/v1/dead") or {}
        return list(answer.get("letters", []))

    def letter(self, stream: str, **fields: Any) -> dict[str, Any]:
        """Give the one letter of a stream that has these fields."""
        fitting = [
            filed
            for filed in self.letters()
            if filed["letter"]["stream"] == stream
            and all(filed["letter"].get(key) == value for key, value in fields.items())
        ]
        assert len(fitting) == 1, (stream, fields, fitting)
        return fitting[0]

    async def dead(self, *words: str) -> tuple[int, str]:
        """Run `hermes dead` in this process; give its exit code and what it printed."""
        env = self.daemon.environment()
        done = await asyncio.to_thread(CliRunner().invoke, app, ["dead", *words], env=env)
        return done.exit_code, done.output

    def counted(self) -> dict[str, float]:
        """Give `hermes_dead_total` by stream."""
        url = (self.daemon.admin("/v1/status") or {})["metrics_url"]
        with urllib.request.urlopen(url) as answer:
            lines = answer.read().decode().splitlines()
        rows = [line for line in lines if line.startswith("hermes_dead_total{")]
        return {row.split('"')[1]: float(row.rsplit(" ", 1)[1]) for row in rows}


async def until(what: str, condition: Callable[[], Any], within_s: float = 90.0) -> None:
    """Wait until a condition holds."""
    deadline = time() + within_s
    while True:
        found = condition()
        if found is True or (asyncio.iscoroutine(found) and await found):
            return
        assert time() < deadline, what
        await asyncio.sleep(0.05)


def processes(node: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Give pid and restarts of every node of the tree."""
    found = {node["path"]: (node.get("pid"), node.get("restarts"))}
    for child in node.get("children", []):
        found |= processes(child)
    return found


def event_of(name: str, kind: Any) -> Event:
    return Event(
        id=uuid4(),
        message=name,
        step=0,
        attempt_n=0,
        kind=kind,
        at=now(),
        source=Source("elsewhere", "test"),
        carrier="sim",
    )


def job_of_tomorrow(attempt: str) -> bytes:
    later = now() + timedelta(hours=1)
    job = Job(
        attempt=attempt,
        tenant="demo",
        carrier="sim",
        to=NUMBER,
        text=TEXT,
        expires_at=later,
        queued_at=now(),
    )
    return encode_job(replace(job, v=99))


async def test_what_nobody_can_read_is_set_aside_once_and_comes_back_when_asked_to(
    daemon: DaemonProcess,
) -> None:
    wiring = daemon.wiring
    settings = BeltSettings()
    belt = await JetStream.connect(wiring["nats_url"], name="test", timeout_s=10)
    memory = await RedisMemory.connect(wiring["redis_url"])
    ledger = await psycopg.AsyncConnection.connect(wiring["postgres_dsn"], autocommit=True)
    inside = Inside(daemon, belt, ledger)
    before = processes(daemon.tree())
    lost, unadmitted, unplanned, untold = (uuid7() for _ in range(4))
    async with client_of(daemon) as client:
        sent = await send_with_a_broken_claim(client, memory)
        # a job that is no job, one of a version to come; what they speak of is in the ledger or not
        job_seq = await inside.put(SUBJECT, f"\0 {NUMBER} {TEXT}".encode())
        lost_name = await inside.add_message(lost, plan=GOOD_PLAN, due=False, state="processing")
        await inside.add_attempt(lost, job_seq)
        absent = f"{encode_message_id(uuid7())}.0.0"
        await inside.put(SUBJECT, job_of_tomorrow(absent))
        # an intake message that was cut off
        name = await inside.add_message(unadmitted, plan=GOOD_PLAN, due=False, state="accepted")
        cut = f'{{"id":"{unadmitted}","to":"{NUMBER}","text":"{TEXT}","pl'.encode()
        await inside.put("intake.transactional", cut)
        # an envelope that is none; one good event with one bad beside it; one nobody has heard of
        await inside.put("events.test", b"?")
        good, bad = event_of(sent[0], "enroute"), event_of(sent[0], "teleported")
        await inside.put("events.test", encode_envelope((good, bad)))
        delivered = event_of(encode_message_id(untold), "delivered")
        await inside.put("events.test", encode_envelope((delivered,)))
        # a row of the ledger with a plan of a version to come
        await inside.add_message(unplanned, plan=NEWER_PLAN, due=True, state="accepted")

        await until("eight letters", lambda: len(inside.letters()) >= 8)
        kinds = {"JOBS_sim": 2, "INTAKE": 1, "EVENTS": 3, "CLAIMS": 1, "LEDGER": 1}
        assert Counter(filed["letter"]["stream"] for filed in inside.letters()) == kinds
        await until("counted once each", lambda: inside.counted() == kinds)
        assert {
            filed["letter"].get("num_delivered", 0)
            for filed in inside.letters()
            if filed["letter"]["stream"] != "LEDGER"
        } == {1}
        for filed in inside.letters():
            whole = json.dumps(daemon.admin(f"/v1/dead/{filed['seq']}"))
            assert not any(secret in whole for secret in (NUMBER, NUMBER[1:], TEXT))
        assert inside.letter("INTAKE", message=name)
        assert inside.letter("JOBS_sim", attempt=absent)["letter"]["reason"].startswith(
            "job cannot be read: version 99"
        )

        await look_at_them(inside, lost_name)
        await bring_them_back(inside, absent, untold, unplanned)

        for message in (lost, unadmitted, unplanned, untold):
            await until("delivered", partial(is_delivered, inside, message))
        views = await client.wait_final(30)
        assert {view["state"] for view in views.values()} == {"delivered"}
        assert "enroute" in [event["kind"] for event in views[sent[0]]["events"]]
        reasons = [event["reason"] for event in views[sent[-1]]["events"]]
        assert "claim_unreadable" in [reason["code"] for reason in reasons if reason]
        assert views[sent[-1]]["possible_duplicate"] is True

    # nothing is left that could come back, nobody ended of it
    admin = JetStreamAdmin(belt.mux, settings)
    quiet = dict.fromkeys(("otp", "transactional", "marketing"), Backlog(0, 0))
    await until("no backlog", lambda: has_backlog(admin, quiet))
    again = inside.letter("EVENTS", subject="events.test", reason=NO_ENVELOPE)
    assert [filed["seq"] for filed in inside.letters()] == [again["seq"]]
    assert processes(daemon.tree()) == before
    logged = (daemon.data / "log" / "hermes.log").read_text()
    assert "letter.stored" in logged
    assert not any(secret in logged for secret in (NUMBER, NUMBER[1:], TEXT))
    await belt.close()
    await memory.close()
    await ledger.close()


NO_ENVELOPE = "event envelope cannot be read: JSON is malformed: invalid character (byte 0)"


async def send_with_a_broken_claim(client: Client, memory: RedisMemory) -> list[str]:
    """Send messages that wait for each other; the last one's claim is there already, broken."""
    sent = [await client.send(f"+45100000{n:02d}0") for n in range(8)]
    names = [name for name in sent if name is not None]
    key = claim_key("sim", f"{names[-1]}.0.0")
    assert await memory.command("SET", key, b"\xff{", "NX", "EX", 600) == b"OK"
    return names


async def look_at_them(inside: Inside, lost_name: str) -> None:
    """List and show, for people and for programs."""
    code, words = await inside.dead("list", "--json")
    assert (code, json.loads(words)) == (0, inside.letters())
    code, words = await inside.dead("list")
    assert code == 0
    assert all(word in words for word in ("JOBS_sim", "INTAKE", "EVENTS", "CLAIMS", "LEDGER"))
    row = inside.letter("LEDGER")
    code, words = await inside.dead("show", str(row["seq"]))
    assert code == 0
    assert "at `$.plan.steps[...].channel`" in words.replace("[0]", "[...]")
    code, words = await inside.dead("show", "999999")
    assert (code, words.startswith("hermes: there is no dead letter 999999")) == (1, True)


async def bring_them_back(inside: Inside, absent: str, untold: UUID, unplanned: UUID) -> None:
    """Retry what has a way back and drop the rest."""

    async def retry(filed: dict[str, Any]) -> str:
        code, words = await inside.dead("retry", str(filed["seq"]))
        assert code == 0, words
        return words

    unknown = inside.letter("JOBS_sim", attempt=absent)
    code, words = await inside.dead("retry", str(unknown["seq"]))
    assert (code, "knows no attempt" in words) == (1, True)
    assert inside.letter("JOBS_sim", attempt=absent) == unknown, "a letter without a way back stays"
    assert (await inside.dead("drop", str(unknown["seq"])))[0] == 0
    assert "publishes the job of" in await retry(inside.letter("JOBS_sim"))
    assert "admits message" in await retry(inside.letter("INTAKE"))
    assert "resolves" in await retry(inside.letter("CLAIMS"))
    await inside.add_message(untold, plan=GOOD_PLAN, due=False, state="processing")
    unheard = inside.letter("EVENTS", message=encode_message_id(untold))
    assert "on the belt again" in await retry(unheard)
    await inside.ledger.execute(
        "update message_body set plan = %s where message = %s", (GOOD_PLAN, unplanned)
    )
    assert "looks again at message" in await retry(inside.letter("LEDGER"))
    # what still cannot be read is a new letter, not a loop
    broken = inside.letter("EVENTS", reason=NO_ENVELOPE)
    await retry(broken)
    await until(
        "set aside again",
        lambda: any(
            filed["seq"] > broken["seq"] and filed["letter"]["reason"] == NO_ENVELOPE
            for filed in inside.letters()
        ),
    )
    (bad,) = (f for f in inside.letters() if "event cannot be read" in f["letter"]["reason"])
    assert (await inside.dead("drop", str(bad["seq"])))[0] == 0


async def is_delivered(inside: Inside, message: UUID) -> bool:
    return await inside.state(message) == "delivered"


async def has_backlog(admin: JetStreamAdmin, wanted: dict[Any, Backlog]) -> bool:
    return await admin.backlog("sim") == wanted
