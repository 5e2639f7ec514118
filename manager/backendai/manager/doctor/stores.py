"""Checks of the stores: whether they answer, and whether what is in them is ours."""

from typing import Final

import sqlalchemy as sa
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.etcd import EtcdStore
from backendai.common.faults import Fault, ServerMisconfigured, StoreUnavailable
from backendai.common.secretfile import load_secret_key
from backendai.common.settings.sections import DbSettings, EtcdSettings, RedisSettings
from backendai.common.streams import open_redis
from backendai.manager.accounts.secretbox import key_id
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.db.revision import REVISION, current_schema
from backendai.manager.refusals import explain, tell_outage
from backendai.manager.settings import ServiceSettings

from .model import Finding, advise, fail, judge_clock, judge_schema, ok

_KEYED: Final = (t.keypairs.c.secret_key_encrypted, t.container_registries.c.password_encrypted)


async def check_database(database: Database, db: DbSettings) -> Finding:
    try:
        version = await database.read(lambda conn: conn.scalar(sa.text("SHOW server_version")))
    except Exception as error:
        is_away = isinstance(error, StoreUnavailable)
        line = tell_outage(db, error.__cause__ or error) if is_away else explain(error)
        if line is None:
            raise
        told, _, fix = line.rpartition(": ")
        return fail("PostgreSQL", told, fix)
    return ok("PostgreSQL", f"{version} at {db.addr}, database {db.name}")


async def check_schema(database: Database) -> Finding:
    return judge_schema(await current_schema(database), REVISION)


async def check_clock(database: Database, clock: Clock) -> Finding:
    async def look(conn: AsyncConnection) -> Finding:
        here, asked_at = clock.now(), clock.monotonic()
        there = (await conn.execute(sa.text("SELECT clock_timestamp()"))).scalar_one()
        round_trip = clock.monotonic() - asked_at
        return judge_clock((here - there).total_seconds() + round_trip / 2, round_trip)

    return await database.read(look)


async def check_sealed(database: Database, own: ServiceSettings) -> Finding:
    """Whether the manager's key opens what is sealed in the database."""
    try:
        own_id = key_id(load_secret_key(own.secret_key_file))
    except ServerMisconfigured as fault:
        return fail("sealed secrets", fault.detail, "mend [manager] secret-key-file first")
    # By the id of the key, which is the second to the fifth byte.
    foreign = [
        sa.select(sa.func.count()).where(sa.func.substr(column, 2, 4) != own_id).scalar_subquery()
        for column in _KEYED
    ]
    statement = sa.select(sum(foreign[1:], start=foreign[0]))
    count = await database.read(lambda conn: conn.scalar(statement))
    if count:
        told = f"{count} secrets in the database were sealed with another key"
        return fail("sealed secrets", told, "put that key into [manager] secret-key-file")
    return ok("sealed secrets", "opened by this key")


async def check_etcd(settings: EtcdSettings) -> Finding:
    try:
        async with EtcdStore(settings) as store:
            pairs = await store.get_prefix("")
    except Fault as fault:
        return fail("etcd", fault.detail, "start it, or mend [etcd] addr, user and password")
    told = f"{len(pairs)} keys in namespace {settings.namespace} at {settings.addr}"
    if not pairs:
        fix = "compare [etcd] namespace with the agents', unless none was ever started"
        return advise("etcd", told, fix)
    return ok("etcd", told)


async def check_redis(settings: RedisSettings) -> Finding:
    redis = open_redis(settings, retries=0)
    try:
        known = await redis.info("server")
    except (RedisError, OSError, TimeoutError) as error:
        told = f"Redis at {settings.place} cannot be used ({error})"
        return fail("Redis", told, "start it, or mend [redis] addr, password and db")
    finally:
        await redis.aclose()
    return ok("Redis", f"{_version_of(known)} at {settings.place}")


def _version_of(known: dict[str, object]) -> str:
    name, version = known.get("server_name", "redis"), known.get("redis_version", "")
    return f"{name} {known.get('valkey_version', version)}"
