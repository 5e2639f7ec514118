"""Dependencies as a tree, which a user can make as large as he likes."""

import itertools
import uuid
from typing import Any

import msgspec
import pytest

from backendai.common.faults import QuotaExceeded
from backendai.manager.sessions.render import dependency_tree
from backendai.manager.sessions.service import TREE_NODES_MAX, nest

Row = dict[str, Any]


def rows(count: int) -> list[Row]:
    return [
        {"id": uuid.UUID(int=index), "name": f"s{index}", "status": "x", "status_changed_at": 0}
        for index in range(count)
    ]


def test_a_session_that_is_reached_twice_is_shown_twice() -> None:
    top, left, right, bottom = rows(4)
    below = {
        top["id"]: [left, right],
        left["id"]: [bottom],
        right["id"]: [bottom],
        bottom["id"]: [],
    }
    tree = nest(top, below)
    assert [one["name"] for one in tree["depends_on"]] == ["s1", "s2"]
    assert [one["depends_on"][0]["name"] for one in tree["depends_on"]] == ["s3", "s3"]


def test_a_long_chain_is_shown() -> None:
    chain = rows(TREE_NODES_MAX)
    below = {one["id"]: [after] for one, after in itertools.pairwise(chain)}
    tree = nest(chain[0], below)
    assert msgspec.json.encode(dependency_tree(tree)).count(b"session_id") == TREE_NODES_MAX
    depth, here = 0, tree
    while here["depends_on"]:
        depth, here = depth + 1, here["depends_on"][0]
    assert depth == TREE_NODES_MAX - 1


@pytest.mark.timeout(20)
def test_sessions_that_depend_on_all_before_them_are_refused() -> None:
    dense = rows(60)
    below = {one["id"]: dense[:index] for index, one in enumerate(dense)}
    with pytest.raises(QuotaExceeded, match="More than"):
        nest(dense[-1], below)
