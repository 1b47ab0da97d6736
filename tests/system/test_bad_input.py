"""Bad input: whoever sends it is told field and rule, and nothing else happens."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from hermes.testing.carrier_control import ask_carrier
from hermes.testing.daemon_process import DaemonProcess, running_daemon
from tests.system.command_line import fails
from tests.system.front_door import PROBLEM, Answer, ask, final, post, wait_for

pytestmark = pytest.mark.daemon

GOOD = {"to": "+4520000010", "text": "hi"}
LIMIT = 4096


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonProcess]:
    """After all of it SIGTERM to the whole group still stops the daemon in order."""
    env = {
        "HERMES_HTTP__MAX_BODY": str(LIMIT),
        "HERMES_SMPP__BACKOFF_FIRST": "0.2",
        "HERMES_SIMULATOR__RECEIPT_DELAY_MS": "50",
    }
    with running_daemon(env) as running:
        yield running
        code = running.stop(signal.SIGTERM, group=True)
        assert (code, running.pids()) == (0, set())
        assert running.said().endswith("stopped, nothing left running\n")


def is_problem(answer: Answer, status: int, field: str | None = None) -> bool:
    """Say whether an answer is a complete problem document."""
    body = answer.body
    assert answer.headers["Content-Type"] == PROBLEM
    assert {"type", "title", "status", "detail"} <= body.keys()
    assert (answer.status, body["status"], body.get("field")) == (status, status, field), body
    return True


# Requests


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic aGs6",
        "Bearer",
        "Bearer hk_live_x",
        "Bearer hk_live_abcdefgh_0123456789012345678901234567890123456789",
        "Bearer \xff\xfe",
    ],
)
def test_a_missing_or_wrong_key_is_401(daemon: DaemonProcess, value: str) -> None:
    headers = {"Authorization": value}
    for method, route in (("POST", "/v1/messages"), ("GET", "/v1/messages/msg_x")):
        answer = ask(daemon, method, route, GOOD, headers)
        assert is_problem(answer, 401, "Authorization")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"colour": "red"}, "colour", "unknown field"),
        ({"to": 45}, "to", "Expected `str | null`"),
        ({"to": "4520000010"}, "to", "E.164"),
        ({"to": "+45 20 00 00 10"}, "to", "E.164"),
        ({"to": "+0020000010"}, "to", "E.164"),
        ({"to": "+45\u0662\u0660\u0660\u0660\u0660\u0660"}, "to", "E.164"),  # digits, not ASCII
        ({"to": ""}, "to", "E.164"),
        ({"to": "+4520000010\n"}, "to", "E.164"),
        ({"text": ""}, "text", "must not be empty"),
        ({"text": " \n"}, "text", "must not be empty"),
        ({"text": None}, "text", "required"),
        ({"text": "ж" * 671}, "text", "needs 11 segments, the limit is 10"),
        ({"text": "x" * 1531}, "text", "needs 11 segments, the limit is 10"),
        ({"text": "a\0b"}, "text", "U+0000"),
        ({"reference": "a\0b"}, "reference", "U+0000"),
        ({"reference": "x" * 65}, "reference", "length <= 64"),
        ({"from": "a sender of 22 letters"}, "from", "1-11 letters"),
        ({"from": "Åcme"}, "from", "1-11 letters"),
        ({"class": "urgent"}, "class", "expected one of otp, transactional, marketing"),
        ({"expires_at": "tomorrow"}, "expires_at", "RFC3339"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at", "must lie ahead"),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, "expires_at", "must lie ahead"),
        ({"expires_at": "0001-01-01T00:00:00+23:59"}, "expires_at", "must lie ahead"),
        ({"expires_at": "2030-01-01T00:00:00"}, "expires_at", "time zone"),
        ({"expires_at": 1}, "expires_at", "Expected"),
        ({"send_at": "2020-01-01T00:00:00Z"}, "send_at", "must lie ahead, by 30 days at most"),
        ({"send_at": "2099-01-01T00:00:00Z"}, "send_at", "must lie ahead, by 30 days at most"),
        ({"send_at": "2030-01-01T00:00:00"}, "send_at", "time zone"),
        ({"timezone": "Mars/Base"}, "timezone", "IANA"),
        ({"timezone": ""}, "timezone", "length >= 1"),
        ({"max_cost": {"amount": "0", "currency": "EUR"}}, "max_cost.amount", "above zero"),
        ({"max_cost": {"amount": 1, "currency": "EUR"}}, "max_cost.amount", "Expected `str`"),
        ({"max_cost": {"amount": "1", "currency": "Euro"}}, "max_cost.currency", "ISO 4217"),
        ({"max_cost": {"amount": "1"}}, "max_cost.currency", "required"),
        ({"subject": "S"}, "subject", "belongs to email"),
        ({"html": "<p>"}, "html", "belongs to email"),
        ({"unsubscribe": {"url": "https://x.example"}}, "unsubscribe", "belongs to email"),
        ({"channel": "fax"}, "channel", "no such channel; known: sms, email, push"),
        ({"channel": "push"}, "channel", "no carrier here serves push"),
        ({"channel": 1}, "channel", "Expected `str"),
    ],
)
def test_a_field_that_breaks_a_rule_is_422_and_named_with_the_rule(
    daemon: DaemonProcess, change: dict[str, Any], field: str, rule: str
) -> None:
    answer = ask(daemon, "POST", "/v1/messages", {**GOOD, **change})
    assert is_problem(answer, 422, field)
    assert rule in answer.body["rule"]


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"channel": "fax"}, "channel", "no such channel; known: sms, email, push"),
        ({"channel": "push"}, "channel", "no carrier here serves push"),
        ({"channel": None}, "channel", "Expected `str`"),
        ({"colour": "red"}, "colour", "unknown field"),
        ({"wait": 0}, "wait", "between 1 second and 7 days"),
        ({"wait": "100d"}, "wait", "between 1 second and 7 days"),
        ({"wait": "soon"}, "wait", '"10s"'),
        ({"wait": True}, "wait", "Expected"),
        ({"wait_from": "birth"}, "wait_from", "expected one of dispatch, sent"),
        ({"success": "seen"}, "success", "expected one of accepted, sent, delivered, read"),
        ({"success": "read"}, "success", "sms reports accepted, sent, delivered"),
        ({"on_full": "cry"}, "on_full", "expected one of wait, next"),
        ({"route": "nobody"}, "route", "no carrier of that name serves sms"),
        ({"to": "a@example.net"}, "to", "E.164"),
        ({"to": "+45\x00"}, "to", "E.164"),
        ({"content": {"text": ""}}, "content.text", "must not be empty"),
        ({"content": {"text": "a\0b"}}, "content.text", "U+0000"),
        ({"content": {"text": "x" * 1531}}, "content.text", "needs 11 segments"),
        ({"content": {"subject": "S"}}, "content.subject", "belongs to email"),
        ({"content": {"html": "<p>"}}, "content.html", "belongs to email"),
        ({"content": {"unsubscribe": {"url": "x"}}}, "content.unsubscribe", "belongs to email"),
        ({"content": {"title": "S"}}, "content.title", "unknown field"),
        ({"content": "hi"}, "content", "Expected `object"),
    ],
)
def test_a_step_that_breaks_a_rule_is_422_and_named(
    daemon: DaemonProcess, change: dict[str, Any], field: str, rule: str
) -> None:
    body = {**GOOD, "cascade": [{"channel": "sms", **change}]}
    answer = ask(daemon, "POST", "/v1/messages", body)
    assert is_problem(answer, 422, f"cascade[0].{field}")
    assert rule in answer.body["rule"]


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"cascade": []}, "cascade", "must hold 1 to 10 steps, has 0"),
        ({"cascade": [{"channel": "sms"}] * 11}, "cascade", "must hold 1 to 10 steps, has 11"),
        ({"cascade": "sms"}, "cascade", "Expected `array"),
        ({"cascade": ["sms"]}, "cascade[0]", "Expected `object`"),
        ({"cascade": [{}]}, "cascade[0].channel", "required"),
        ({"cascade": [{"channel": "sms"}], "channel": "sms"}, "channel", "leave one of them out"),
        # this daemon runs without an engine
        ({"cascade": [{"channel": "sms"}] * 2}, "cascade", "has no cascade engine"),
    ],
)
def test_a_cascade_that_breaks_a_rule_is_422_and_named(
    daemon: DaemonProcess, change: dict[str, Any], field: str, rule: str
) -> None:
    answer = ask(daemon, "POST", "/v1/messages", {**GOOD, **change})
    assert is_problem(answer, 422, field)
    assert rule in answer.body["rule"]


def test_a_step_of_a_batch_is_named_with_its_place(daemon: DaemonProcess) -> None:
    wrong = {**GOOD, "cascade": [{"channel": "sms", "wait": 0}]}
    answer = ask(daemon, "POST", "/v1/messages/batch", {"messages": [GOOD, wrong]})
    assert answer.body["messages"][1]["field"] == "messages[1].cascade[0].wait"


@pytest.mark.parametrize("missing", ["to", "text"])
def test_a_missing_field_is_422_and_named(daemon: DaemonProcess, missing: str) -> None:
    body = {name: value for name, value in GOOD.items() if name != missing}
    answer = ask(daemon, "POST", "/v1/messages", body)
    assert is_problem(answer, 422, missing)
    assert answer.body["rule"] == "required"


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b'{"to": "\xff"}', b'{"to": "\\ud800"}'])
def test_a_body_that_is_no_json_is_400(daemon: DaemonProcess, body: bytes) -> None:
    answer = ask(daemon, "POST", "/v1/messages", body)
    assert is_problem(answer, 400)
    assert answer.body["rule"] == "json"


def test_a_body_that_is_no_object_is_422(daemon: DaemonProcess) -> None:
    assert is_problem(ask(daemon, "POST", "/v1/messages", [GOOD]), 422, "body")


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_over_the_limit_is_413_with_or_without_its_length(
    daemon: DaemonProcess, is_chunked: bool
) -> None:
    body = json.dumps({**GOOD, "text": "x" * LIMIT}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", daemon.wiring["http_port"], timeout=10)
    headers = {"Authorization": f"Bearer {daemon.key}", "Content-Type": "application/json"}
    pieces = (body[at : at + 1000] for at in range(0, len(body), 1000))
    sent: Any = pieces if is_chunked else body
    connection.request("POST", "/v1/messages", sent, headers, encode_chunked=is_chunked)
    raw = connection.getresponse()
    answer = Answer(raw.status, raw.msg, json.loads(raw.read()))
    connection.close()
    assert is_problem(answer, 413, "body")
    assert answer.body["rule"] == f"{LIMIT} bytes"


@pytest.mark.parametrize(
    ("headers", "status", "field"),
    [
        ({"Content-Type": "text/plain"}, 415, "Content-Type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "Content-Type"),
        ({"Content-Encoding": "br"}, 415, "Content-Encoding"),
        ({"Content-Encoding": "gzip"}, 415, "Content-Encoding"),
        ({"Idempotency-Key": "x" * 256}, 422, "Idempotency-Key"),
        ({"Idempotency-Key": "\xff"}, 422, "Idempotency-Key"),
    ],
)
def test_a_header_that_breaks_a_rule_is_named(
    daemon: DaemonProcess, headers: Mapping[str, str], status: int, field: str
) -> None:
    assert is_problem(ask(daemon, "POST", "/v1/messages", GOOD, headers), status, field)


@pytest.mark.parametrize(
    ("method", "route", "right"),
    [
        ("DELETE", "/v1/messages", "POST"),
        ("PUT", "/v1/messages", "POST"),
        ("POST", "/v1/messages/msg_x", "GET"),
        ("POST", "/healthz", "GET"),
    ],
)
def test_a_wrong_method_is_405_and_says_which_are_right(
    daemon: DaemonProcess, method: str, route: str, right: str
) -> None:
    answer = ask(daemon, method, route, GOOD)
    assert is_problem(answer, 405, "method")
    allowed = answer.headers["Allow"].split(", ")
    assert right in allowed
    assert method not in allowed


@pytest.mark.parametrize(
    "route", ["/", "/v2/messages", "/v1/messages/", "/v1/messages/a/b", "/%00"]
)
def test_an_unknown_route_is_404(daemon: DaemonProcess, route: str) -> None:
    assert is_problem(ask(daemon, "GET", route), 404)


@pytest.mark.parametrize(
    "name", ["abc", "msg_", "msg_00000000000000000000000000", "%ff%00", "x" * 999]
)
def test_an_id_nobody_has_is_404(daemon: DaemonProcess, name: str) -> None:
    assert is_problem(ask(daemon, "GET", f"/v1/messages/{name}"), 404, "id")


@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0" * 5000,
        b'{"to": "+4520000010", "text": "swordfish"}\r\n\r\n',
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nAuthorization: swordfish\x01\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nswordfish swordfish swordfish\r\n\r\n",
    ],
)
def test_garbage_on_the_port_is_refused_and_logged_without_its_octets(
    daemon: DaemonProcess, octets: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", daemon.wiring["http_port"]), 10) as garbage:
        garbage.sendall(octets)
        said = b""
        while b" 400 " not in said and (piece := garbage.recv(4096)):
            said += piece
    assert b" 400 Bad Request" in said
    assert ask(daemon, "GET", "/healthz").body == {"status": "up"}
    assert "swordfish" not in (daemon.data / "log" / "hermes.log").read_text()


def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_failure(daemon: DaemonProcess) -> None:
    head = (
        f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {daemon.key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", daemon.wiring["http_port"]), 10) as leaving:
        leaving.sendall(head.encode() + b'{"to": ')
    url = f"http://127.0.0.1:{daemon.wiring['admin_port']}/metrics"

    def counted() -> bool | None:
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        return 'hermes_http_requests_total{route="/v1/messages",status="400"}' in text or None

    assert wait_for(counted)
    assert "request.failed" not in (daemon.data / "log" / "hermes.log").read_text()


# Commands


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--to", "123"), 1, "to: must be E.164"),
        (("--class", "urgent"), 1, "expected one of otp"),
        (("--channel", "fax"), 1, "channel: no such channel"),
        (("--cascade", "sms:0s"), 1, "cascade[0].wait: must be between"),
        (("--cascade", "fax"), 2, "--cascade: no channel 'fax'"),
        (("--send-at", "tomorrow"), 1, "send_at: Invalid RFC3339"),
        (("--max-cost", "0EUR"), 1, "max_cost.amount: must be"),
        (("--key", "hk_test_x"), 1, "send Authorization: Bearer"),
        (("--key", "a\nb"), 2, "the key holds characters that no key has"),
        (("--url", "http://127.0.0.1:1"), 69, "http://127.0.0.1:1 does not answer"),
        (("--url", "http://127.0.0.1:1x"), 2, "--url http://127.0.0.1:1x: Port"),
        (("--url", "nonsense"), 2, "expected http://host:port"),
    ],
)
def test_a_wrong_send_says_in_one_sentence_why(
    daemon: DaemonProcess, words: tuple[str, ...], code: int, why: str
) -> None:
    usual = {"--to": "+4520000010", "--text": "hi", words[0]: words[1]}
    said = fails(daemon, code, "send", *(word for pair in usual.items() for word in pair))
    assert why in said
    assert len(said.splitlines()) == 1


# The carrier


def inject(daemon: DaemonProcess, octets: bytes) -> None:
    """Have the simulated carrier send these octets."""
    url = f"http://127.0.0.1:{daemon.wiring['simulator_control_port']}"
    ask_carrier(url, "POST", "/faults/inject", hex=octets.hex())


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"\xff" * 64, id="a PDU of 4 GB"),
        pytest.param((4).to_bytes(4, "big") + bytes(60), id="a PDU shorter than its header"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="another protocol"),
    ],
)
def test_garbage_from_the_carrier_costs_that_bind_a_reconnect_and_nothing_more(
    daemon: DaemonProcess, octets: bytes
) -> None:
    final(daemon, post(daemon, "+4520000020"))
    before, binds = pids(daemon), len(bound(daemon))
    inject(daemon, octets)
    wait_for(lambda: len(bound(daemon)) > binds or None)
    assert final(daemon, post(daemon, "+4520000030"))["state"] == "delivered"
    assert pids(daemon) == before
    status = wait_for(lambda: daemon.admin("/v1/status"))
    assert (status["healthy"], status["binds"][0]["state"]) == (True, "bound")


def test_a_pdu_of_the_carrier_that_nobody_knows_is_answered_and_costs_nothing(
    daemon: DaemonProcess,
) -> None:
    before, binds = pids(daemon), len(bound(daemon))
    unknown = b"".join(number.to_bytes(4, "big") for number in (16, 0x0001_0FFF, 0, 77))
    inject(daemon, unknown)
    assert final(daemon, post(daemon, "+4520000040"))["state"] == "delivered"
    assert (pids(daemon), len(bound(daemon))) == (before, binds)


def bound(daemon: DaemonProcess) -> list[dict[str, Any]]:
    """Every bind the carrier has accepted."""
    return [line for line in daemon.simulator_log() if line["event"] == "bind"]


def pids(daemon: DaemonProcess) -> dict[str, object]:
    """Give the pid of every actor and every process it owns."""
    found: dict[str, object] = {}
    waiting = [daemon.tree()]
    for node in waiting:
        found[node["path"]] = (node["pid"], node.get("facts", {}).get("process"))
        waiting += node.get("children", [])
    return found
