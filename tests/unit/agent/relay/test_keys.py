"""The keys of a relay: taken, kept, and found again by the next agent."""

import stat
from pathlib import Path

import pytest

from backendai.agent.faults import DiskRefused
from backendai.agent.relay.keys import KeyRing
from backendai.agent.threads import Threads
from backendai.common.contracts.agent import RelayKeys

OLD, NEW = b"o" * 32, b"n" * 32


@pytest.fixture
def threads() -> Threads:
    return Threads("test", 1)


async def test_keys_outlive_the_agent(tmp_path: Path, threads: Threads) -> None:
    path = tmp_path / "state" / "relay.keys"
    await KeyRing(path, threads).take(RelayKeys(keys=[NEW, OLD]))
    ring = KeyRing(path, threads)
    assert ring.keys == ()
    await ring.load()
    assert ring.keys == (NEW, OLD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_taking_the_same_keys_again_writes_nothing(tmp_path: Path, threads: Threads) -> None:
    path = tmp_path / "relay.keys"
    ring = KeyRing(path, threads)
    await ring.take(RelayKeys(keys=[NEW]))
    before = path.stat()
    await ring.take(RelayKeys(keys=[NEW]))
    assert path.stat().st_ino == before.st_ino
    await ring.take(RelayKeys(keys=[OLD]))
    assert ring.keys == (OLD,)


@pytest.mark.parametrize("text", ["", "{}", "garbage", '{"keys":["AAAA"]}', '{"keys":[]}'])
async def test_a_file_that_makes_no_sense_opens_nothing(
    tmp_path: Path, threads: Threads, text: str
) -> None:
    path = tmp_path / "relay.keys"
    path.write_text(text)
    ring = KeyRing(path, threads)
    await ring.load()
    assert ring.keys == ()


async def test_keys_that_cannot_be_kept_are_not_used(tmp_path: Path, threads: Threads) -> None:
    (tmp_path / "file").write_text("")
    ring = KeyRing(tmp_path / "file" / "relay.keys", threads)
    with pytest.raises(DiskRefused):
        await ring.take(RelayKeys(keys=[NEW]))
    assert ring.keys == ()


def test_keys_are_not_shown() -> None:
    assert repr(RelayKeys(keys=[NEW])) == "RelayKeys(1 keys)"
