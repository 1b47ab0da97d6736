"""The faces of a running daemon: progress, command line, HTTP, metrics, logs, an ordered stop."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hermes.adapters.message_store_postgres import PostgresMessageStore
from hermes.adapters.postgres import PostgresPool
from hermes.frontdoor import auth
from hermes.ports.message_store import ApiKey
from hermes.testing.carrier_control import ask_carrier
from hermes.testing.daemon_process import DaemonProcess, running_daemon
from tests.system.front_door import PROBLEM, Answer, ask, crowding, final, post, view, wait_for

pytestmark = pytest.mark.daemon

# What the simulated carrier makes of the last digit, and where the message ends.
OUTCOMES = {
    "0": "delivered",
    "1": "expired",
    "2": "undelivered",
    "3": "undelivered",
    "4": "unknown",  # accepted by the carrier, and never a receipt
    "5": "failed",
    "6": "delivered",
}
QUICK = {
    "HERMES_CLOCK__TICK": "0.2",
    "HERMES_CLOCK__RECEIPT_TIMEOUT": "0.5",
    "HERMES_SIMULATOR__RECEIPT_DELAY_MS": "50",
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonProcess]:
    with running_daemon(QUICK) as running:
        yield running


def submits(daemon: DaemonProcess, to: str) -> list[dict[str, Any]]:
    """What arrived at the carrier for a number, once anything has."""

    def look() -> list[dict[str, Any]] | None:
        lines = daemon.simulator_log()
        return [x for x in lines if x["event"] == "submit" and x["destination"] == to[1:]] or None

    return wait_for(look)


def test_a_start_shows_progress_and_then_one_line_that_says_how_to_use_it(
    daemon: DaemonProcess,
) -> None:
    *progress, ready = daemon.said().splitlines()
    assert 'carrier "sim" is a simulator' in progress[0]
    assert all(re.match(r" +\d+\.\d\d s  \S+ .*\S", line) for line in progress)
    assert any("actor system up" in line for line in progress)
    assert any("bind 1 is bound" in line for line in progress)
    wiring = daemon.wiring
    assert ready.split() == [
        "hermes",
        "ready",
        f"http=http://127.0.0.1:{wiring['http_port']}",
        f"metrics=http://127.0.0.1:{wiring['admin_port']}/metrics",
        f"admin={daemon.data}/run/admin.sock",
        f"demo-key={daemon.data}/demo-key",
    ]


def test_send_and_wait_prints_delivered_within_seconds(daemon: DaemonProcess) -> None:
    began = time.monotonic()
    sent = daemon.run("send", "--to", "+4510000010", "--text", "hi", "--wait")
    took = time.monotonic() - began
    print(f"send --wait took {took:.2f} s")
    assert (sent.returncode, sent.stderr) == (0, "")
    assert re.fullmatch(r"msg_[0-9a-z]{26} delivered\n", sent.stdout)
    assert took < 10 * crowding()


def test_send_and_wait_gives_the_whole_message_as_json(daemon: DaemonProcess) -> None:
    sent = daemon.run("send", "--to", "+4510000020", "--text", "hi", "--wait", "--json")
    message = json.loads(sent.stdout)
    assert sent.returncode == 0
    assert (message["state"], message["to"]) == ("delivered", "+4510000020")
    assert message["attempts"][0]["carrier"] == "sim"


def test_send_exits_1_for_a_message_that_was_not_delivered(daemon: DaemonProcess) -> None:
    sent = daemon.run("send", "--to", "+4510000033", "--text", "hi", "--wait")
    assert (sent.returncode, sent.stdout.split()[1:]) == (1, ["undelivered"])


def test_send_exits_3_when_no_final_state_comes_in_time(daemon: DaemonProcess) -> None:
    words = ("send", "--to", "+4510000044", "--text", "hi", "--wait", "--timeout", "0.2")
    sent = daemon.run(*words)
    assert sent.returncode == 3
    assert sent.stdout.endswith("processing after 0.2 s\n")


def test_every_outcome_of_the_carrier_ends_in_its_state(daemon: DaemonProcess) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()  # noqa: TID251 - the test's clock
    names = {
        digit: post(daemon, f"+451000005{digit}", **({"expires_at": soon} if digit == "4" else {}))
        for digit in OUTCOMES
    }
    found = {digit: final(daemon, name) for digit, name in names.items()}
    assert {digit: message["state"] for digit, message in found.items()} == OUTCOMES
    assert found["4"]["reason"]["code"] == "no_receipt"


@pytest.mark.parametrize(("digit", "state"), [("0", "delivered"), ("5", "failed")])
def test_a_long_text_is_one_message_of_several_segments(
    daemon: DaemonProcess, digit: str, state: str
) -> None:
    text = "Long texts go in parts, and nobody sees it. [€] " * 10
    name = post(daemon, f"+451000016{digit}", text=text)
    message = final(daemon, name)
    assert (message["state"], message["segments"]) == (state, 4)
    assert len(message["attempts"]) == 1
    parts = submits(daemon, f"+451000016{digit}")
    headers = [bytes.fromhex(line["hex"])[:6] for line in parts]
    assert headers == [b"\5\0\3%c\4%c" % (headers[0][3], n + 1) for n in range(len(parts))]
    if state == "delivered":
        sent = [event["segment"] for event in message["events"] if event["kind"] == "sent"]
        assert sorted(sent) == [0, 1, 2, 3]
        assert len(parts) == 4
        assert "".join(line["text"] for line in parts) == text


def send_mo(daemon: DaemonProcess, **mo: str | int) -> dict[str, Any]:
    """Have the simulated carrier deliver what a handset sent."""
    url = f"http://127.0.0.1:{daemon.wiring['simulator_control_port']}"
    return ask_carrier(url, "POST", "/mo", **mo)


def test_what_a_handset_sends_is_kept_whole_and_shown(daemon: DaemonProcess) -> None:
    text = "STOP sending me parts, a whole message is what I wrote! \N{EURO SIGN} " * 4
    assert send_mo(daemon, source="4510000070", destination="1234", text=text)["message_ids"]

    def look() -> list[dict[str, Any]]:
        found = json.loads(daemon.run("inbound", "--json").stdout)["inbound"]
        return [mo for mo in found if mo["source"] == "4510000070"]

    (mo,) = wait_for(look)
    assert (mo["text"], mo["destination"], mo["missing"]) == (text, "1234", [])
    assert mo["total"] == 2
    shown = daemon.run("inbound", "--limit", "1").stdout
    assert "4510000070" in shown


def test_a_receipt_of_nobody_is_kept_and_shown(daemon: DaemonProcess) -> None:
    receipt = b"id:nobodys-7 sub:001 dlvrd:001 stat:UNDELIV err:00A text:".hex()
    send_mo(daemon, source="4510000080", destination="1234", hex=receipt, esm_class=4)

    def look() -> list[dict[str, Any]]:
        return list(json.loads(daemon.run("orphans", "--json").stdout)["orphans"])

    (orphan,) = wait_for(look)
    assert (orphan["id"], orphan["stat"], orphan["err"]) == ("nobodys-7", "UNDELIV", "00A")
    assert "nobodys-7" in daemon.run("orphans").stdout


def test_the_trail_names_every_event_with_its_source(daemon: DaemonProcess) -> None:
    message = final(daemon, post(daemon, "+4510000060", reference="order-7"))
    trail = [(event["kind"], event["source"].partition("/")[2]) for event in message["events"]]
    assert trail == [
        ("sent", "main/mesh/sim/bind-1"),
        ("delivered", "main/receipts/receipt-0"),
    ]
    (line,) = submits(daemon, "+4510000060")
    assert {event["carrier_message_id"] for event in message["events"]} == {line["message_id"]}
    assert message["reference"] == "order-7"
    assert message["accepted_at"] < message["events"][0]["at"] < message["done_at"]


@pytest.mark.parametrize(
    ("to", "text", "more", "expected"),
    [
        # the default sender, and GSM 03.38 with a character of the extension table
        ("+4510000070", "5 € {x}", {"class": "otp"}, ("Hermes", 0, "35201b65201b2878" + "1b29")),
        ("+4510000080", "hi", {"from": "Acme Ltd"}, ("Acme Ltd", 0, "6869")),
        ("+4510000090", "hi", {"from": "+4580808080"}, ("4580808080", 0, "6869")),
        ("+4510000100", "Zoë ☃", {}, ("Hermes", 8, "Zoë ☃".encode("utf-16-be").hex())),
    ],
)
def test_sender_and_text_arrive_at_the_carrier_in_the_right_coding(
    daemon: DaemonProcess, to: str, text: str, more: dict[str, str], expected: tuple[str, int, str]
) -> None:
    assert final(daemon, post(daemon, to, text, **more))["state"] == "delivered"
    (line,) = submits(daemon, to)
    assert (line["source"], line["data_coding"], line["hex"]) == expected
    assert (line["text"], line["registered_delivery"]) == (text, 1)


def test_status_tells_people_and_programs_how_the_daemon_is(daemon: DaemonProcess) -> None:
    final(daemon, post(daemon, "+4510000110"))
    said = daemon.run("status").stdout
    assert "all up" in said
    assert re.search(r"sim +1 +bound +\d+ +\d+ +\d+ ", said)
    assert re.search(r"messages of the last hour: .*delivered \d+", said)
    status = json.loads(daemon.run("status", "--json").stdout)
    assert status["healthy"]
    assert {s["name"]: s["state"] for s in status["services"]} == dict.fromkeys(
        ("nats", "valkey", "postgres", "simulator", "mailsink"), "up"
    )
    (bind,) = status["binds"]
    assert {"carrier", "bind", "state", "in_flight", "asked", "window"} <= bind.keys()
    assert (bind["carrier"], bind["bind"], bind["state"]) == ("sim", "1", "bound")
    assert status["messages"]["delivered"] >= 1


def test_the_tree_shows_each_part_with_state_restarts_pid_memory_and_demand(
    daemon: DaemonProcess,
) -> None:
    root = json.loads(daemon.run("tree", "--json").stdout)
    nodes = {node["path"]: node for node in walk(root)}
    paths = {"root", "root/services/nats", "root/main/stages/intake", "root/main/mesh/sim/stage"}
    assert paths <= nodes.keys()
    for path, node in nodes.items():
        assert node["state"] == ("done" if path == "root/prepare" else "up"), path
        assert node["restarts"] == 0, path
        if path != "root/prepare":
            assert node["pid"] > 1, path
            assert node["memory_mb"] > 1, path
    assert nodes["root/main/mesh/sim/bind-1"]["facts"]["in_flight"] == 0
    assert nodes["root/main/mesh/sim/stage"]["facts"]["demand"] > 0
    lines = daemon.run("tree").stdout.splitlines()
    assert len(lines) == len(nodes)
    (bind,) = (line for line in lines if "bind-1" in line)
    assert re.search(r"bind-1  up  pid \d+  [\d.]+ MB  .*in flight 0 .*asked \d+", bind)


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a node and all below it."""
    yield node
    for child in node.get("children", []):
        yield from walk(child)


def test_metrics_are_what_prometheus_reads(daemon: DaemonProcess) -> None:
    final(daemon, post(daemon, "+4510000120"))
    url = f"http://127.0.0.1:{daemon.wiring['admin_port']}/metrics"

    def sent() -> float | None:
        with urllib.request.urlopen(url, timeout=10) as answer:
            families = {f.name: f for f in text_string_to_metric_families(answer.read().decode())}
        if not {"hermes_messages", "hermes_http_requests", "hermes_bind_up"} <= families.keys():
            return None
        labels = {"carrier": "sim", "channel": "sms", "status": "sent"}
        found = [s.value for s in families["hermes_messages"].samples if s.labels == labels]
        assert {s.name for s in families["hermes_messages"].samples} == {"hermes_messages_total"}
        return sum(found) or None

    assert wait_for(sent) >= 1


def test_a_message_of_another_tenant_is_not_found(daemon: DaemonProcess) -> None:
    mine = post(daemon, "+4510000130")
    other = asyncio.run(make_tenant(daemon, "other"))
    headers = {"Authorization": f"Bearer {other}"}
    seen = ask(daemon, "GET", f"/v1/messages/{mine}", headers=headers)
    assert (seen.status, seen.headers["Content-Type"]) == (404, PROBLEM)
    body = {"to": "+4510000140", "text": "hi"}
    theirs = ask(daemon, "POST", "/v1/messages", body, headers)
    assert theirs.status == 202
    name = theirs.body["id"]
    assert ask(daemon, "GET", f"/v1/messages/{name}", headers=headers).status == 200
    assert ask(daemon, "GET", f"/v1/messages/{name}").status == 404


async def make_tenant(daemon: DaemonProcess, name: str) -> auth.ApiKey:
    """Make a tenant with a key; give the key."""
    key = auth.mint()
    pepper = (daemon.data / "pepper").read_bytes()
    pool = PostgresPool(daemon.wiring["postgres_dsn"], max_size=1, name="test")
    await pool.open()
    try:
        store = PostgresMessageStore(pool)
        await store.create_tenant(name)
        row = ApiKey(id=key.id, tenant=name, hash=auth.digest(key.secret, pepper))
        assert await store.create_key(row)
    finally:
        await pool.close()
    return key


def test_an_idempotency_key_gives_the_first_message_again_or_refuses_another(
    daemon: DaemonProcess,
) -> None:
    def send(text: str) -> Answer:
        body = {"to": "+4510000150", "text": text}
        return ask(daemon, "POST", "/v1/messages", body, {"Idempotency-Key": "once"})

    first, again, other = send("hi"), send("hi"), send("ho")
    assert (first.status, again.status) == (202, 202)
    assert (again.body, again.headers["Idempotent-Replay"]) == (first.body, "true")
    assert (other.status, other.headers["Content-Type"]) == (422, PROBLEM)
    assert other.body["field"] == "Idempotency-Key"
    final(daemon, first.body["id"])
    assert len(submits(daemon, "+4510000150")) == 1


def test_ctrl_c_stops_in_order_loses_nothing_and_the_next_start_is_quick(
    daemon: DaemonProcess,
) -> None:
    numbers = [f"+45200000{count:02}0" for count in range(20)]
    for number in numbers:
        post(daemon, number)
    code = daemon.stop(signal.SIGINT, group=True)
    said = daemon.said().splitlines()
    assert (code, daemon.pids()) == (0, set())
    assert [line.split(maxsplit=3)[3] for line in said if " stop " in line] == [
        "stopping in order",
        "stopped, nothing left running",
    ]
    took = daemon.start()
    print(f"the start on known data took {took:.2f} s")
    assert took < 10 * crowding()
    assert [len(submits(daemon, number)) for number in numbers] == [1] * 20


def test_no_log_holds_a_text_a_whole_number_or_a_key(daemon: DaemonProcess) -> None:
    number, text = "+4510000161", "the secret word is swordfish"
    final(daemon, post(daemon, number, text))
    ask(daemon, "POST", "/v1/messages", {"to": number, "text": f"{text} \0"})
    ask(daemon, "POST", "/v1/messages", {"to": number, "text": text * 9, "from": text})
    ask(daemon, "GET", f"/v1/messages/{number}")
    logs = sorted((daemon.data / "log").glob("*.log"))
    assert {"hermes.log", "nats.log", "postgres.log", "valkey.log"} <= {log.name for log in logs}
    for log in logs:
        content = log.read_text(errors="replace")
        for secret in (number[1:], "swordfish", daemon.key.split("_", 3)[3]):
            assert secret not in content, log.name


def test_a_message_is_seen_as_accepted_before_it_is_anything_else(daemon: DaemonProcess) -> None:
    answer = ask(daemon, "POST", "/v1/messages", {"to": "+4510000170", "text": "hi"})
    assert answer.body["links"] == {"self": f"/v1/messages/{answer.body['id']}"}
    assert answer.body["state"] == "accepted"
    assert view(daemon, answer.body["id"])["state"] in {"accepted", "processing", "delivered"}
