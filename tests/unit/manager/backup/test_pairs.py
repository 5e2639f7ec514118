"""etcd becomes what it was, but for the announcements of nodes, which are theirs."""

import pytest

from backendai.common.clock import SystemClock
from backendai.common.config import MemoryStore
from backendai.manager.backup.model import BackupRefused
from backendai.manager.backup.pairs import diff_pairs, read_pairs, write_pairs


def test_a_difference_is_what_is_to_be_put_and_deleted() -> None:
    assert diff_pairs({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "4", "d": "5"}) == (
        {"b": "4", "d": "5"},
        ["c"],
    )


async def test_pairs_come_back_and_announcements_stay() -> None:
    store = MemoryStore(SystemClock())
    for key in ("config/a", "config/b", "nodes/agents/n1"):
        await store.put(key, "now")
    present = await read_pairs(store)
    assert sorted(present) == ["config/a", "config/b"]
    for _ in range(2):
        await write_pairs(store, present, {"config/a": "then", "config/c": "then"})
    assert await store.get_prefix("") == {
        "config/a": "then",
        "config/c": "then",
        "nodes/agents/n1": "now",
    }


async def test_an_etcd_that_is_away_is_told() -> None:
    store = MemoryStore(SystemClock())
    store.is_away = True
    with pytest.raises(BackupRefused, match=r"mend \[etcd\] addr"):
        await read_pairs(store)
