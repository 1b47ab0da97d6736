"""`hermes send`: what its options ask of the front door, and what it says while it waits."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hermes.cli.main import app

PHONE, MAIL, TOKEN = "+4512345678", "a@example.net", "token:1"


@dataclass
class Door:
    """A front door that takes everything and tells `views` one after another, the last for ever."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)

    def send(self, *words: str) -> Result:
        """Run `hermes send`."""
        usual = ("--text", "hi", "--url", self.url, "--key", "hk_test_x")
        return CliRunner().invoke(app, ["send", *usual, *words])

    def body(self, *words: str) -> dict[str, Any]:
        """Give the body of the request some options make."""
        done = self.send(*words)
        assert done.exit_code == 0, done.output
        return self.asked[-1]


@pytest.fixture
def door() -> Iterator[Door]:
    found = Door()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(202, {"id": "msg_1", "state": "accepted"})

        def do_GET(self) -> None:
            self.answer(200, found.views.pop(0) if len(found.views) > 1 else found.views[0])

        def answer(self, status: int, body: dict[str, Any]) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *_: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield found
        server.shutdown()
        serving.join()


def test_a_number_alone_leaves_the_plan_to_the_front_door(door: Door) -> None:
    assert door.body("--to", PHONE) == {"to": PHONE, "text": "hi", "class": "transactional"}


@pytest.mark.parametrize(
    ("words", "channel", "to"),
    [
        (("--email", MAIL), "email", MAIL),
        (("--push", TOKEN), "push", TOKEN),
        (("--channel", "sms", "--to", PHONE), "sms", PHONE),
        (("--channel", "email", "--to", PHONE, "--email", MAIL), "email", MAIL),
    ],
)
def test_one_address_alone_names_its_channel(
    door: Door, words: tuple[str, ...], channel: str, to: str
) -> None:
    body = door.body(*words)
    assert (body["channel"], body["to"]) == (channel, to)


def test_a_cascade_sends_each_step_to_its_own_address(door: Door) -> None:
    words = ("--to", PHONE, "--email", MAIL, "--cascade", "email:10s,sms:30s,email")
    body = door.body(*words)
    assert body["to"] == PHONE
    assert body["cascade"] == [
        {"channel": "email", "to": MAIL, "wait": 10.0},
        {"channel": "sms", "to": PHONE, "wait": 30.0},
        {"channel": "email", "to": MAIL},
    ]


def test_a_cascade_of_mails_needs_no_number(door: Door) -> None:
    body = door.body("--email", MAIL, "--cascade", "email")
    assert (body["cascade"], "to" in body) == ([{"channel": "email", "to": MAIL}], False)


def test_every_other_option_is_a_field(door: Door, tmp_path: Path) -> None:
    html = tmp_path / "mail.html"
    html.write_text("<p>hi</p>")
    words = ("--email", MAIL, "--subject", "S", "--html", str(html), "--max-cost", "0.05eur")
    times = ("--send-at", "2030-01-01T00:00:00Z", "--expires-at", "2030-01-02T00:00:00Z")
    assert door.body(*words, *times) == {
        "channel": "email",
        "to": MAIL,
        "text": "hi",
        "class": "transactional",
        "subject": "S",
        "html": "<p>hi</p>",
        "max_cost": {"amount": "0.05", "currency": "EUR"},
        "send_at": "2030-01-01T00:00:00Z",
        "expires_at": "2030-01-02T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "--to is missing"),
        (("--email", MAIL, "--push", TOKEN), "--to is missing"),
        (("--to", PHONE, "--cascade", "fax"), "--cascade: no channel 'fax'; expected"),
        (("--to", PHONE, "--cascade", "sms:soon"), "--cascade: expected seconds"),
        (("--to", PHONE, "--cascade", "sms", "--channel", "sms"), "exclude each other"),
        (("--to", PHONE, "--max-cost", "cheap"), "--max-cost cheap: expected an amount"),
        (("--to", PHONE, "--html", "/none"), "/none: No such file"),
    ],
)
def test_a_wrong_option_is_2_and_nothing_is_asked(
    door: Door, words: tuple[str, ...], why: str
) -> None:
    done = door.send(*words)
    assert (done.exit_code, door.asked) == (2, [])
    assert why in done.stderr


def view(state: str, *steps: str) -> dict[str, Any]:
    """Give a message of which `email` and `sms` stand so."""
    named = zip(("email", "sms"), steps, strict=False)
    return {
        "id": "msg_1",
        "state": state,
        "cascade": [{"channel": channel, "state": word} for channel, word in named],
    }


def test_each_change_is_told_once_beside_the_json(door: Door) -> None:
    door.views = [
        view("accepted", "waiting", "waiting"),
        view("processing", "current", "waiting"),
        view("processing", "current", "waiting"),
        view("processing", "silent", "current"),
        view("delivered", "silent", "won"),
    ]
    done = door.send("--to", PHONE, "--cascade", "sms,sms", "--wait", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == door.views[0]
    assert done.stderr.splitlines() == [
        "accepted: email waiting, sms waiting",
        "processing: email current, sms waiting",
        "processing: email silent, sms current",
        "delivered: email silent, sms won",
    ]


def test_a_message_without_steps_ends_in_one_line(door: Door) -> None:
    door.views = [{"id": "msg_1", "state": "processing"}, {"id": "msg_1", "state": "delivered"}]
    done = door.send("--to", PHONE, "--wait")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "msg_1 delivered\n", "")
