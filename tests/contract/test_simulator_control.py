"""The control API of the simulator: settings, MOs, log, reset, and how it refuses."""

from __future__ import annotations

import pytest

from hermes.simulator.fault import FAULTS
from hermes.simulator.profile import Account
from tests.contract.simulator_esme import eventually, running


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field", "rule"),
    [
        ("PUT", "/settings", {"latency_ms": -1}, 400, "latency_ms", "expected `float` >= 0.0"),
        ("PUT", "/settings", {"port": 1}, 400, "port", "is fixed at the start"),
        ("PUT", "/settings", [], 400, "body", "must be a JSON object: "),
        ("POST", "/faults/flood", {}, 400, "name", "is none of drop, "),
        ("DELETE", "/faults/flood", None, 400, "name", "is none of drop, "),
        ("POST", "/faults/drop", {"how": "x"}, 400, "how", "invalid enum value 'x'"),
        ("POST", "/mo", {"source": "1"}, 400, "destination", "required"),
        (
            "POST",
            "/mo",
            {"source": "1", "destination": "2", "text": "a"},
            400,
            "system_id",
            "required while 0 accounts have bound",
        ),
        ("GET", "/log?since=-1", None, 400, "since", "'-1' is no whole number of 0 or more"),
        ("GET", "/nothing", None, 404, "path", "GET /nothing: not found"),
        ("POST", "/stats", {}, 405, "path", "POST /stats: method not allowed"),
    ],
)
async def test_a_refused_request_names_the_field_and_the_rule(
    method: str, path: str, body: object, status: int, field: str, rule: str
) -> None:
    async with running() as bench:
        answer_status, answer = await bench.call(method, path, body)
        assert answer_status == status
        assert answer["error"]["field"] == field
        assert answer["error"]["rule"].startswith(rule)


async def test_settings_are_shown_and_changed_together_or_not_at_all() -> None:
    async with running(accounts=(Account("a", "secret"),)) as bench:
        before = await bench.ask("GET", "/settings")
        assert before["accounts"] == ["a"]
        assert "secret" not in str(before)
        status, _ = await bench.call("PUT", "/settings", {"tps": 5, "window": -1})
        assert status == 400
        assert await bench.ask("GET", "/settings") == before
        after = await bench.ask("PUT", "/settings", {"tps": 5, "tps_kind": "sliding"})
        assert after == {**before, "tps": 5.0, "tps_kind": "sliding"}


async def test_the_faults_are_listed_with_what_they_do() -> None:
    async with running() as bench:
        await bench.fault("pause_receipts", system_id="a")
        answer = await bench.ask("GET", "/faults")
        assert list(answer["table"]) == list(FAULTS)
        assert answer["table"]["inject"]["parameters"]["hex"] == "required"
        assert answer["table"]["drop"]["parameters"]["how"] == "rst"
        assert list(answer["on"]) == ["pause_receipts"]
        answer = await bench.ask("DELETE", "/faults/pause_receipts")
        assert answer == {"was_on": True, "on": {}}


async def test_an_mo_reaches_the_account_and_is_logged() -> None:
    async with running() as bench:
        esme = await bench.bound()
        mo = {"source": "447700900555", "destination": "80080", "text": "stop €"}
        answer = await bench.ask("POST", "/mo", mo)
        assert answer == {"message_ids": ["mo-1"]}
        await eventually(lambda: len(esme.delivered) == 1)
        (pdu,) = esme.delivered
        assert (pdu.text("source_addr"), pdu.text("destination_addr")) == ("447700900555", "80080")
        assert pdu.octets("short_message") == b"stop \x1be"
        (line,) = await bench.logged("answer", 1)
        assert (line["owed"], line["message_id"], line["status"]) == ("mo", "mo-1", 0)


async def test_an_mo_waits_until_its_account_binds() -> None:
    async with running() as bench:
        await bench.bound()
        mo = {"source": "4477", "destination": "80080", "text": "x" * 200, "system_id": "other"}
        answer = await bench.ask("POST", "/mo", mo)
        assert answer == {"message_ids": ["mo-1.1", "mo-1.2"]}
        other = await bench.bound("receiver", system_id="other")
        await eventually(lambda: len(other.delivered) == 2)


async def test_the_log_can_be_read_on_from_a_line() -> None:
    async with running(log_memory=3) as bench:
        esme = await bench.bound()
        for _ in range(3):
            await esme.submitted(registered_delivery=0)
        answer = await bench.ask("GET", "/log")
        assert (answer["last"], answer["missed"]) == (5, 2)
        assert [line["n"] for line in answer["lines"]] == [3, 4, 5]
        answer = await bench.ask("GET", "/log?since=4&limit=10")
        assert [line["n"] for line in answer["lines"]] == [5]
        assert (await bench.ask("GET", "/log?since=5"))["lines"] == []


async def test_a_reset_goes_back_to_the_start_and_keeps_the_sessions() -> None:
    async with running(receipt_delay_ms=60_000) as bench:
        esme = await bench.bound()
        assert (await esme.submitted()).text("message_id") == "1000"
        await bench.ask("PUT", "/settings", {"receipt_delay_ms": 5, "tps": 1})
        await bench.fault("refuse_submits")
        assert await bench.ask("POST", "/reset") == {"next_id": 1001}
        assert (await esme.submitted()).text("message_id") == "1001"
        settings = await bench.ask("GET", "/settings")
        assert (settings["receipt_delay_ms"], settings["tps"]) == (60_000, 0)
        stats = await bench.ask("GET", "/stats")
        assert stats["counters"]["submits"] == stats["counters"]["accepted"] == 1
        assert stats["faults"] == {}
        assert stats["accounts"]["tester"]["queued"] == 1
        answer = await bench.ask("GET", "/log?since=3")
        assert [line["event"] for line in answer["lines"]] == ["start", "submit"]


async def test_answers_that_are_due_survive_a_reset() -> None:
    async with running(latency_ms=50) as bench:
        esme = await bench.bound()
        sequence = esme.submit()
        await bench.logged("submit", 1)
        await bench.ask("POST", "/reset")
        assert (await esme.response(sequence)).command_status == 0
        (session,) = (await bench.ask("GET", "/stats"))["sessions"]
        assert session["in_flight"] == 0


async def test_the_stats_show_accounts_and_sessions() -> None:
    async with running(receipt_delay_ms=60_000) as bench:
        esme = await bench.bound("transmitter")
        await esme.submitted()
        stats = await bench.ask("GET", "/stats")
        assert stats["accounts"] == {
            "tester": {
                "queued": 1,
                "deliver_waiting": 0,
                "deliver_unanswered": 0,
                "sessions": [1],
            }
        }
        (session,) = stats["sessions"]
        del session["peer"]
        assert session == {
            "session": 1,
            "system_id": "tester",
            "mode": "tx",
            "submits": 1,
            "in_flight": 0,
            "max_in_flight": 1,
            "enquire_links": 0,
        }
