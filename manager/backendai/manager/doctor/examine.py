"""Every check once, in an order in which what others need comes first."""

from collections.abc import Sequence
from pathlib import Path

from backendai.common.clock import Clock
from backendai.manager.db.engine import Database, open_database
from backendai.manager.settings import ManagerSettings

from .cluster import examine_cluster, examine_rows
from .machine import check_disk, check_file, check_keys, check_port
from .model import Finding, Verdict, is_sound, skip
from .nodes import check_nodes
from .stores import check_clock, check_database, check_etcd, check_redis, check_schema, check_sealed

# Without these there are no tables that could be read.
_FIRST = {"PostgreSQL": "PostgreSQL first", "schema": "the schema first"}
_ON_TABLES = ("sealed secrets", "agents", "RPC", "drift")


async def examine_all(
    settings: ManagerSettings, file: Path, webservers: Sequence[str], clock: Clock
) -> list[Finding]:
    """As `examine`, and all other daemons: the app and storage proxies that stores know of, and
    `webservers`."""
    own = await examine(settings, file, clock)
    lacking = [_FIRST[one.name] for one in own if one.name in _FIRST and not is_sound([one])]
    database = open_database(settings.db, "mgr-doctor")
    try:
        rows = await examine_rows(database, lacking[0] if lacking else "")
    finally:
        await database.close()
    return [*own, *await examine_cluster(settings, rows, webservers, clock)]


async def examine(settings: ManagerSettings, file: Path, clock: Clock) -> list[Finding]:
    """`file` is where the settings were read from."""
    own = settings.manager
    database = open_database(settings.db, "mgr-doctor")
    try:
        of_database = await _examine_database(database, settings, clock)
    finally:
        await database.close()
    return [
        check_file(file),
        *check_keys(own),
        check_disk(settings),
        await check_port(own),
        await check_etcd(settings.etcd),
        await check_redis(settings.redis),
        *of_database,
    ]


async def _examine_database(
    database: Database, settings: ManagerSettings, clock: Clock
) -> list[Finding]:
    found = [await check_database(database, settings.db)]
    if not is_sound(found):
        return [*found, *skip(("schema", "clock", *_ON_TABLES), _FIRST["PostgreSQL"])]
    found += [await check_clock(database, clock), await check_schema(database)]
    if found[-1].verdict is Verdict.FAILED:
        return [*found, *skip(_ON_TABLES, _FIRST["schema"])]
    sealed = await check_sealed(database, settings.manager)
    return [*found, sealed, *await check_nodes(database, settings.manager)]
