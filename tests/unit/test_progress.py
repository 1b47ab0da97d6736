"""Progress lines arrive whole and in order, more of them than the kernel queues."""

from __future__ import annotations

import threading
from pathlib import Path

from hermes.progress import MAX_TEXT, Listener, Step, tell


def heard(listener: Listener, count: int) -> list[Step]:
    """Read until so many lines have come."""
    steps: list[Step] = []
    while len(steps) < count:
        steps += listener.read()
    return steps


def test_more_lines_than_the_kernel_queues_all_arrive(tmp_path: Path) -> None:
    listener = Listener(str(tmp_path))
    lines = [Step("carrier", f"bind {number} is bound") for number in range(200)]

    def tell_all() -> None:
        for line in lines:
            tell(str(tmp_path), *line)

    teller = threading.Thread(target=tell_all)
    teller.start()
    assert heard(listener, len(lines)) == lines
    teller.join()
    listener.close()


def test_a_long_text_is_cut_and_not_lost(tmp_path: Path) -> None:
    listener = Listener(str(tmp_path))
    tell(str(tmp_path), "root", "\N{SNOWMAN}" * 5000)
    assert heard(listener, 1) == [Step("root", "\N{SNOWMAN}" * MAX_TEXT)]
    listener.close()


def test_nobody_to_tell_is_no_failure(tmp_path: Path) -> None:
    tell(str(tmp_path), "root", "hello")
