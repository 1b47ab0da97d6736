"""A folder of further traces that holds nothing, or something unknown, must not pass unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.replay import traces


def test_the_named_extra_folder_holds_only_known_traces() -> None:
    folder = traces.extra_folder()
    assert folder is None or traces.folder_faults(folder) == []


def test_an_unset_or_empty_variable_names_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(traces.EXTRA_VARIABLE, raising=False)
    assert traces.extra_folder() is None
    monkeypatch.setenv(traces.EXTRA_VARIABLE, "")
    assert traces.extra_folder() is None


def test_a_missing_folder_is_a_fault(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    assert traces.folder_faults(missing) == [f"{missing} is not a folder"]


def test_an_empty_folder_is_a_fault(tmp_path: Path) -> None:
    assert traces.folder_faults(tmp_path) == [f"{tmp_path} is empty"]


@pytest.mark.parametrize("name", ["traces.jsonl", "gen_stage.json", "gen_stage", "readme.md"])
def test_a_file_of_unknown_kind_is_a_fault(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"kind": "dispatcher"}\n')
    (tmp_path / "gen_stage_more.jsonl").write_text('{"kind": "dispatcher"}\n')
    (fault,) = traces.folder_faults(tmp_path)
    assert fault.startswith(f"{name} is of no known kind")


def test_a_folder_inside_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "gen_stage_inner.jsonl").mkdir()
    assert len(traces.folder_faults(tmp_path)) == 1


@pytest.mark.parametrize("content", ["", "\n", "[1]\n", "{not json\n"])
def test_a_trace_without_readable_rows_is_a_fault(tmp_path: Path, content: str) -> None:
    (tmp_path / "gen_stage_more.jsonl").write_text(content)
    assert len(traces.folder_faults(tmp_path)) == 1


@pytest.mark.parametrize("name", ["smpp_pdus_more.json", "dlr_receipts_more.json"])
@pytest.mark.parametrize("content", ["", "[]", "{}", '{"vectors": [], "variants": []}'])
def test_a_corpus_without_readable_rows_is_a_fault(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert len(traces.folder_faults(tmp_path)) == 1


def test_a_corpus_in_the_extra_folder_is_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dlr_receipts_more.json").write_text('{"variants": [{"n": 99}]}')
    assert traces.folder_faults(tmp_path) == []
    monkeypatch.setenv(traces.EXTRA_VARIABLE, str(tmp_path))
    rows = traces.corpus_rows("dlr_receipts", "n")
    assert rows[-1].id == "extra/dlr_receipts_more.json:99"


def test_known_traces_are_no_fault_and_are_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gen_stage_more.jsonl").write_text('\n{"kind": "split_batches"}\n')
    (tmp_path / "otp_supervisor_more.jsonl").write_text('{"kind": "exit"}\n')
    assert traces.folder_faults(tmp_path) == []
    monkeypatch.setenv(traces.EXTRA_VARIABLE, str(tmp_path))
    bundled = len(list(traces.numbered_rows(traces.BUNDLED / "gen_stage_traces.jsonl")))
    rows = traces.trace_rows("gen_stage")
    assert len(rows) >= bundled + 1
    assert rows[-1].id == "extra/gen_stage_more.jsonl:2-split_batches"


def test_bundled_traces_are_there() -> None:
    counted = {
        path.name: len(list(traces.numbered_rows(path)))
        for _, path in traces.trace_files("gen_stage")
    }
    assert counted["gen_stage_traces.jsonl"] == 158
    listed = {
        path.name: len(traces.listed_rows(path))
        for prefix in traces.ROW_KEYS
        for _, path in traces.trace_files(prefix, ".json")
    }
    assert (listed["smpp_pdus.json"], listed["dlr_receipts.json"]) == (83, 32)
