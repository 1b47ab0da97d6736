"""A batch is committed in one go; a wrong message in it refuses only itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hermes.testing.daemon_process import (
    SCALED,
    Client,
    DaemonProcess,
    client_of,
    running_daemon,
)

pytestmark = pytest.mark.daemon


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonProcess]:
    with running_daemon(SCALED) as running:
        yield running


async def post(client: Client, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    """Post a batch."""
    url = f"{client.url}/v1/messages/batch"
    async with client.session.post(url, json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_good_ones_are_delivered_and_bad_ones_name_their_place(
    daemon: DaemonProcess,
) -> None:
    good = [{"to": f"+45200000{n:02d}0", "text": "hi"} for n in range(10)]
    bad: list[Any] = [{"to": "nobody", "text": "hi"}, {"text": "hi"}, 7]
    async with client_of(daemon) as client:
        status, body = await post(client, {"messages": [*good, *bad]})
        assert (status, body["accepted"], body["refused"]) == (202, 10, 3)
        fields = [line["field"] for line in body["messages"][10:]]
        assert fields == ["messages[10].to", "messages[11].to", "messages[12].body"]
        client.accepted = {line["id"]: "" for line in body["messages"][:10]}
        views = await client.wait_final(20)
        assert {view["state"] for view in views.values()} == {"delivered"}


async def test_a_repeated_batch_with_its_key_makes_nothing_new(daemon: DaemonProcess) -> None:
    body = {"messages": [{"to": "+4521000000", "text": "hi"}, {"to": "+4521000010", "text": "hi"}]}
    async with client_of(daemon) as client:
        headers = {"Idempotency-Key": "once"}
        _, first = await post(client, body, **headers)
        _, second = await post(client, body, **headers)
        assert [m["id"] for m in first["messages"]] == [m["id"] for m in second["messages"]]
        assert [m.get("replayed") for m in second["messages"]] == [True, True]
        body["messages"][1]["text"] = "other"
        status, third = await post(client, body, **headers)
        assert (status, third["accepted"]) == (202, 1)
        assert third["messages"][1]["type"] == "urn:hermes:problem:idempotency"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"messages": []}, 422, "messages"),
        ({"messages": [{"to": "+4520000000", "text": "hi"}] * 1001}, 422, "messages"),
        ({"items": []}, 422, "items"),
        ([], 422, "body"),
        ({"messages": [{"to": "x", "text": ""}]}, 422, None),
    ],
)
async def test_a_batch_that_is_none_is_refused(
    daemon: DaemonProcess, body: Any, status: int, field: str | None
) -> None:
    async with client_of(daemon) as client:
        got, said = await post(client, body)
        assert (got, said.get("field")) == (status, field)
