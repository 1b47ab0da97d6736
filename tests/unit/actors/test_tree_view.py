"""A tree is well when every node runs, every process is healthy and every bind is bound."""

from __future__ import annotations

import pytest

from actors.tree_view import Node, is_well


def tree(*leaves: Node) -> Node:
    """Give a supervisor that is up, with leaves that are unless they say else."""
    return {"state": "up", "children": [{"state": "up", **leaf} for leaf in leaves]}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (tree(), True),
        (tree({}, {"state": "done"}), True),
        (tree({"facts": {"bind": "1", "state": "bound"}}, {"facts": {"healthy": True}}), True),
        (tree({}, {"state": "restarting"}), False),
        (tree({"facts": {"healthy": False}}), False),
        (tree({"facts": {"bind": "1", "state": "lost"}}), False),
        (tree(tree({"state": "down"})), False),
        ({"state": "silent", "children": []}, False),  # nothing is known of those below
    ],
)
def test_one_part_that_is_not_well_is_enough(node: Node, expected: bool) -> None:
    assert is_well(node) is expected
