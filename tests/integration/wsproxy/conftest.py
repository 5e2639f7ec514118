"""An app proxy as a process, with a database, a node's relay and an app behind it."""

from collections.abc import Callable, Iterator

import pytest

from tests.integration.wsproxy.cluster import Cluster, add_node, migrate
from tests.running.wsproxy import (
    Loop,
    RelayStandIn,
    ScriptedApp,
    Target,
    WsproxyDaemon,
    running_wsproxy,
)


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    found = Loop()
    yield found
    found.stop()


@pytest.fixture(scope="session")
def migrated_dsn(loop: Loop, make_database: Callable[[str | None], str]) -> str:
    """A database by the migrations, with one tenant."""
    dsn = make_database(None)
    migrate(loop, dsn)
    return dsn


@pytest.fixture(scope="module")
def shared_cluster(
    loop: Loop, migrated_dsn: str, make_database: Callable[[str | None], str]
) -> Iterator[Cluster]:
    cluster = Cluster(make_database(migrated_dsn), loop, RelayStandIn(loop), ScriptedApp(loop))
    add_node(loop, cluster.dsn, cluster.relay.address)
    cluster.relay.start()
    cluster.app.start()
    yield cluster
    cluster.relay.stop()
    cluster.app.stop()


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """As it was at first: the app echoes, the relay opens."""
    shared_cluster.app.script = None
    shared_cluster.app.heads.clear()
    shared_cluster.relay.refusals.clear()
    return shared_cluster


@pytest.fixture(scope="module")
def shared_daemon(
    shared_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WsproxyDaemon]:
    home = tmp_path_factory.mktemp("wsproxy")
    limits = "head-timeout = 1.0\nbody-timeout = 1.0\nanswer-timeout = 2.0\nidle-timeout = 5.0"
    limits += "\nbody-bytes-max = 4194304\nkeep-alive = 3.0"
    with running_wsproxy(home, shared_cluster.dsn, limits=limits) as found:
        yield found


@pytest.fixture
def daemon(shared_daemon: WsproxyDaemon, cluster: Cluster) -> WsproxyDaemon:
    """Shared by the tests of a module; it lives after each."""
    assert not shared_daemon.is_dead(), shared_daemon.log.read_text()
    return shared_daemon


@pytest.fixture(scope="module")
def shared_target(shared_cluster: Cluster) -> Target:
    return shared_cluster.run_kernel()


@pytest.fixture
def target(shared_target: Target) -> Target:
    return shared_target
