"""A storage proxy as a process, asked as clients and managers ask."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running.storage import StorageDaemon, running_storage


@pytest.fixture(scope="module")
def shared_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageDaemon]:
    with running_storage(tmp_path_factory.mktemp("storage")) as found:
        yield found


@pytest.fixture
def daemon(shared_daemon: StorageDaemon) -> StorageDaemon:
    """Shared by the tests of a module, which use files of their own. It lives after each."""
    assert not shared_daemon.is_dead(), shared_daemon.log.read_text()
    return shared_daemon


@pytest.fixture
def own_daemon(tmp_path: Path) -> Iterator[StorageDaemon]:
    """One of the test's own, to be killed."""
    with running_storage(tmp_path) as found:
        yield found
