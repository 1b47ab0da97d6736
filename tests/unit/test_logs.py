"""Logs never carry text, addresses or secrets; ids stay readable."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from hermes import logs


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """Leave no logger behind that writes to a captured stream."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_log_line_masks_numbers_addresses_secrets_and_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("bind/acme/1")
    structlog.get_logger().warning(
        "attempt.submitted",
        to="+4512345678",
        mail="jane.doe@example.com",
        text="your code is 1234",
        password="hunter2",
        nested={"token": "abc", "to": ["4512345678"]},
        message_id="msg_01h455vb4pex5vsknk084sn02q",
    )
    line = capsys.readouterr().err
    for secret in ("12345678", "jane.doe", "your code", "hunter2", "abc"):
        assert secret not in line
    event = json.loads(line)
    assert event["to"] == "+451*****78"
    assert event["mail"] == "j***@example.com"
    assert event["message_id"] == "msg_01h455vb4pex5vsknk084sn02q"
    assert event["actor"] == "bind/acme/1"


def test_a_traceback_is_masked_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("x")
    try:
        raise ValueError("bad recipient +4512345678")
    except ValueError:
        structlog.get_logger().exception("handler.failed")
    assert "+4512345678" not in capsys.readouterr().err


def test_a_full_disk_loses_lines_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", full)
        logs.configure("x")
        structlog.get_logger().warning("store.unavailable")
        logging.getLogger("driver").warning("gone")
        with contextlib.suppress(OSError):  # what the stream still holds
            full.close()
    logs.configure("x")
