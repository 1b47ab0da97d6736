"""MOs of the simulator: marked in every way, and in floods."""

from __future__ import annotations

import pytest

from hermes.smpp.content import content_of
from hermes.smpp.pdu import Pdu
from hermes.smpp.reassembly import Joined, Part, Reassembly
from tests.contract.simulator_esme import eventually, running

LONG = "Nine hundred and ninety-nine sheep jumped over the fence, and one did not. " * 4


def joined(pdus: list[Pdu]) -> list[Joined[int]]:
    """The long messages Hermes makes of these parts."""
    reassembly = Reassembly[int]()
    whole: list[Joined[int]] = []
    for number, pdu in enumerate(pdus):
        source, destination = pdu.text("source_addr"), pdu.text("destination_addr")
        part = Part("sim", source, destination, content_of(pdu), number)
        whole += [each for each in reassembly.add(part, 0.0) if each.is_complete]
    return whole


@pytest.mark.parametrize("concatenation", ["udh8", "udh16", "sar"])
async def test_a_long_mo_is_marked_as_asked_and_can_be_joined(concatenation: str) -> None:
    async with running() as bench:
        esme = await bench.bound()
        mo = {"source": "4477", "destination": "80080", "text": LONG}
        await bench.ask("POST", "/mo", {**mo, "concatenation": concatenation})
        await eventually(lambda: len(esme.delivered) == 2)
        concats = [content_of(pdu).concat for pdu in esme.delivered]
        assert [c and (c.kind.value, c.number, c.total) for c in concats] == [
            (concatenation, 1, 2),
            (concatenation, 2, 2),
        ]
        (whole,) = joined(esme.delivered)
        assert whole.text == LONG


async def test_a_flood_of_mos_comes_so_many_times_and_all_are_acknowledged() -> None:
    async with running(deliver_window=0) as bench:
        esme, other = await bench.bound(), await bench.bound(system_id="other")
        await bench.fault("mo_flood", rate=100_000, count=2000, system_id="tester")
        await eventually(lambda: len(esme.delivered) == 2000)
        assert len({esme.deliver(index) for index in range(2000)}) == 2000
        await bench.until_account(deliver_unanswered=0)
        counters = await bench.counters()
        assert counters["mos_sent"] == counters["acknowledged"] == 2000
        assert other.delivered == []
        assert (await bench.ask("GET", "/stats"))["faults"] == {}


async def test_a_flood_waits_until_somebody_is_bound_and_goes_on_until_it_is_lifted() -> None:
    async with running() as bench:
        await bench.fault("mo_flood", rate=1000)
        esme = await bench.bound()
        await eventually(lambda: len(esme.delivered) > 5)
        await bench.lift("mo_flood")
        await bench.until_account(deliver_waiting=0, deliver_unanswered=0)
        sent = len(esme.delivered)
        assert (await esme.submitted(registered_delivery=0)).command_status == 0
        assert len(esme.delivered) == sent


async def test_long_mos_of_several_senders_come_part_by_part_in_turn_under_one_reference() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("mo_flood", senders=3, count=1, source="447700900008", text=LONG)
        await eventually(lambda: len(esme.delivered) == 6)
        seen = [(pdu.text("source_addr")[-2:], content_of(pdu).concat) for pdu in esme.delivered]
        order = [(source, concat and concat.number) for source, concat in seen]
        assert order == [("08", 1), ("09", 1), ("10", 1), ("08", 2), ("09", 2), ("10", 2)]
        assert len({concat and concat.reference for _, concat in seen}) == 1
        assert [whole.text for whole in joined(esme.delivered)] == [LONG] * 3


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"source": "\u20ac"}, "source_addr"),
        ({"text": "x" * 50_000}, "text"),
        ({"rate": 0}, "rate"),
        ({"destination": "1\x00"}, "destination_addr"),
    ],
)
async def test_a_flood_that_cannot_be_written_is_refused(
    parameters: dict[str, object], field: str
) -> None:
    async with running() as bench:
        status, answer = await bench.call("POST", "/faults/mo_flood", parameters)
        assert (status, answer["error"]["field"]) == (400, field)
        assert (await bench.ask("GET", "/faults"))["on"] == {}
