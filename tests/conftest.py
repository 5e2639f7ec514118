"""Real stores and a real engine for tests: started once per session, shared when told to.

`BAI_TEST_STORES` ("postgres-dsn redis-url etcd-address", by blanks) and
`BAI_TEST_DOCKER_HOST` name running ones instead of starting any.
"""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil
import pytest
import redis
from hypothesis import HealthCheck, settings

from backendai.halfstack.engine import run_engine
from backendai.halfstack.images import BUSYBOX, PYTHON, find_cache, import_image
from backendai.halfstack.stores import StoreAddresses, run_stores
from tests.running.fixtures import api, shared_stack, stack, started

# A whole system, for the kinds of tests that need one.
__all__ = ["api", "shared_stack", "stack", "started"]

# How long an example takes says how busy the machine is.
settings.register_profile(
    "unhurried", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")

_numbers = itertools.count(1)
_VALKEY_DATABASES = 16
# A file system in memory; the integration tests of the manager put some 3 GiB there.
_MEMORY = Path("/dev/shm")
_PLENTY_BYTES = 8 * 2**30


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """A loop of the session's own: it never becomes the current loop of a test."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as own:
        yield own


@pytest.fixture(scope="session")
def stores(runner: asyncio.Runner) -> Iterator[StoreAddresses]:
    """PostgreSQL, Valkey and etcd. A killed one is back within a second."""
    if shared := os.environ.get("BAI_TEST_STORES"):
        yield StoreAddresses(*shared.split())
        return
    base = Path(tempfile.mkdtemp(prefix="bai-stores-", dir=_find_quick_place()))
    running = run_stores(base)
    try:
        yield runner.run(running.__aenter__())
    finally:
        runner.run(running.__aexit__(None, None, None))
        shutil.rmtree(base)


def _find_quick_place() -> Path | None:
    """Memory where there is plenty: a database is a thousand files, to be made and removed."""
    rooms = [psutil.virtual_memory().available]
    rooms += [shutil.disk_usage(_MEMORY).free] if _MEMORY.is_dir() else [0]
    return _MEMORY if min(rooms) >= _PLENTY_BYTES else None


@pytest.fixture(scope="session")
def make_database(
    runner: asyncio.Runner, stores: StoreAddresses
) -> Iterator[Callable[[str | None], str]]:
    """`make_database(template_dsn or None)` gives the DSN of a new database."""
    made: list[str] = []

    async def run_sql(words: str) -> None:
        connection = await asyncpg.connect(stores.postgres)
        try:
            await connection.execute(words)
        finally:
            await connection.close()

    def make(template: str | None = None) -> str:
        name = f"test_{os.getpid()}_{next(_numbers)}"
        source = urlsplit(template).path.lstrip("/") if template else "template1"
        runner.run(run_sql(f'CREATE DATABASE {name} TEMPLATE "{source}"'))
        made.append(name)
        return urlunsplit(urlsplit(stores.postgres)._replace(path=f"/{name}"))

    yield make
    # Servers of this session's own are about to go with all that is in them.
    for name in made if os.environ.get("BAI_TEST_STORES") else ():
        runner.run(run_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


@pytest.fixture(scope="module")
def postgres_dsn(make_database: Callable[[str | None], str]) -> str:
    """An empty database for the module. Copy it with `make_database(dsn)` once migrated."""
    return make_database(None)


@pytest.fixture(scope="module")
def redis_url(stores: StoreAddresses) -> str:
    """An empty numbered database of the shared server (publish/subscribe is not separate)."""
    number = next(_numbers) % _VALKEY_DATABASES
    url = urlunsplit(urlsplit(stores.redis)._replace(path=f"/{number}"))
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture(scope="session")
def etcd_addr(stores: StoreAddresses) -> str:
    """`host:port` of the shared etcd: use a namespace of your own."""
    return stores.etcd


@pytest.fixture(scope="session")
def docker_host(runner: asyncio.Runner) -> Iterator[str]:
    """DOCKER_HOST of a private daemon that only this session uses; needs root."""
    if shared := os.environ.get("BAI_TEST_DOCKER_HOST"):
        yield shared
        return
    base = Path(tempfile.mkdtemp(prefix="bai-engine-"))
    running = run_engine(base)
    try:
        yield runner.run(running.__aenter__())
    finally:
        runner.run(running.__aexit__(None, None, None))
        shutil.rmtree(base)


@pytest.fixture(scope="session")
def busybox_image(docker_host: str) -> str:
    """Name of an image with a shell and no libc, no Python, no labels of Backend.AI."""
    import_image(BUSYBOX, docker_host, find_cache())
    return BUSYBOX.name


@pytest.fixture(scope="session")
def python_image(docker_host: str) -> str:
    """Name of a Debian image with Python and Backend.AI's labels."""
    import_image(PYTHON, docker_host, find_cache())
    return PYTHON.name
