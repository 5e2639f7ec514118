"""How often proxies are asked to count, and what is told while they do not."""

import asyncio
import uuid
from typing import cast

import pytest

from backendai.common.clock import FakeClock
from backendai.common.faults import StorageUnavailable
from backendai.manager.vfolders import usages
from backendai.manager.vfolders.model import Folder, Ownership
from backendai.manager.vfolders.proxies import FolderUsage, Proxies
from backendai.manager.vfolders.usages import AT_ONCE, FRESH, FolderUsages
from tests.unit.manager.vfolders.test_access import folder_of


class CountingProxies:
    def __init__(self) -> None:
        self.asked: list[uuid.UUID] = []
        self.is_away = False
        self.hangs = False
        self.most = self.now = 0

    async def usage(self, folder: Folder, _seconds: float) -> FolderUsage:
        self.asked.append(folder.id)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(3600 if self.hangs else 0)
        finally:
            self.now -= 1
        if self.is_away:
            raise StorageUnavailable("away")
        return FolderUsage(len(self.asked), 1)


def parts() -> tuple[FakeClock, CountingProxies, FolderUsages]:
    clock, proxies = FakeClock(), CountingProxies()
    return clock, proxies, FolderUsages(cast(Proxies, proxies), clock)


FOLDERS = [folder_of(Ownership.USER, number=number) for number in range(1, 31)]


async def test_a_list_asks_few_at_a_time_and_not_soon_again() -> None:
    clock, proxies, found = parts()
    assert len(await found.find_several(FOLDERS)) == len(FOLDERS)
    assert proxies.most == AT_ONCE
    await found.find_several(FOLDERS)
    assert len(proxies.asked) == len(FOLDERS)
    await clock.advance(FRESH.total_seconds())
    await found.find_several(FOLDERS)
    assert len(proxies.asked) == 2 * len(FOLDERS)


async def test_one_is_counted_now_or_told_as_it_was() -> None:
    clock, proxies, found = parts()
    first = await found.find(FOLDERS[0])
    await clock.advance(1.0)
    second = await found.find(FOLDERS[0])
    assert first is not None
    assert second is not None
    assert second.at > first.at
    proxies.is_away = True
    assert await found.find(FOLDERS[0]) == second
    assert await found.find(FOLDERS[1]) is None


async def test_a_host_that_does_not_tell_is_left_alone_for_a_while() -> None:
    clock, proxies, found = parts()
    proxies.is_away = True
    assert await found.find_several(FOLDERS) == {}
    asked = len(proxies.asked)
    assert asked <= AT_ONCE
    assert await found.find_several(FOLDERS) == {}
    assert len(proxies.asked) == asked
    proxies.is_away = False
    await clock.advance(FRESH.total_seconds())
    assert len(await found.find_several(FOLDERS)) == len(FOLDERS)


async def test_a_list_does_not_wait_for_a_host_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, proxies, found = parts()
    monkeypatch.setattr(usages, "LIST_SECONDS", 0.01)
    proxies.hangs = True
    assert await found.find_several(FOLDERS) == {}
    asked = len(proxies.asked)
    assert proxies.now == 0
    assert await found.find_several(FOLDERS) == {}
    assert len(proxies.asked) == asked
