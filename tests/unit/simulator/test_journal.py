"""The log: numbered lines, in the file after a flush, the latest in memory."""

from __future__ import annotations

import json
from pathlib import Path

from hermes.simulator.journal import Journal, StartLine, SubmitLine


def start(first_id: int) -> StartLine:
    return StartLine(at=1.5, first_id=first_id)


def test_lines_are_numbered_and_written_by_the_flush(tmp_path: Path) -> None:
    path, wakes = tmp_path / "log", list[int]()
    with path.open("ab") as file:
        journal = Journal(file, 10, lambda: wakes.append(1))
        journal.add(start(7))
        journal.add(start(8))
        assert path.read_bytes() == b""
        assert len(wakes) == 1
        journal.flush()
        journal.add(start(9))
        assert len(wakes) == 2
        assert [json.loads(line) for line in path.read_text().splitlines()] == [
            {"n": 1, "event": "start", "at": 1.5, "first_id": 7},
            {"n": 2, "event": "start", "at": 1.5, "first_id": 8},
        ]


def test_memory_keeps_the_latest_lines_and_counts_the_rest() -> None:
    journal = Journal(None, 3, lambda: None)
    for number in range(1, 6):
        journal.add(start(number))
    assert journal.oldest == 3
    assert [json.loads(line)["n"] for line in journal.since(0, 100)] == [3, 4, 5]
    assert [json.loads(line)["n"] for line in journal.since(3, 1)] == [4]
    assert journal.since(5, 100) == []
    journal.forget()
    assert journal.since(0, 100) == []
    journal.add(start(6))
    assert [json.loads(line)["n"] for line in journal.since(0, 100)] == [6]


def test_a_submit_line_leaves_out_what_is_not_there() -> None:
    journal = Journal(None, 3, lambda: None)
    journal.add(
        SubmitLine(
            at=1.0,
            session=1,
            system_id="a",
            seq=2,
            source="s",
            destination="d",
            data_coding=0,
            esm_class=0,
            registered_delivery=1,
            text="",
            hex="",
            status=None,
        )
    )
    line = json.loads(journal.since(0, 1)[0])
    assert line["status"] is None
    assert line["text"] == line["hex"] == ""
    assert "message_id" not in line
    assert "tlvs" not in line
