"""Checks of all other daemons: each only looks, and what is down does not keep the rest from it."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import sqlalchemy as sa
from cryptography import x509
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.clock import Clock
from backendai.common.enums import AgentStatus
from backendai.common.etcd import EtcdStore
from backendai.common.faults import Fault, StoreUnavailable
from backendai.manager.alerts.store import list_alerts, load_agents
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database
from backendai.manager.maintenance.presence import list_live
from backendai.manager.sched.loop import LEASE_NAME as PLAN
from backendai.manager.settings import ManagerSettings
from backendai.manager.vfolders.link import ProxyLink
from backendai.manager.vfolders.proxies import Proxies
from backendai.manager.vfolders.volumes import VOLUMES_PREFIX, VolumeConfig

from .judge_cluster import (
    CLUSTER_NAMES,
    VolumeSeen,
    Waiting,
    judge_alerts,
    judge_certificates,
    judge_daemon,
    judge_images,
    judge_managers,
    judge_node_clocks,
    judge_node_disks,
    judge_storage,
    judge_versions,
    judge_waiting,
)
from .model import Finding, skip

ANSWER_SECONDS: Final = 5.0
ALERTS_MAX: Final = 20
_OWN: Final = "backendai-manager"
_s: Final = t.sessions.c
_START: Final = "start it (`systemctl start {}`); its journal says what it lacks"


class Rows(NamedTuple):
    """What the database tells of the cluster: findings, and where app proxies are."""

    findings: Sequence[Finding]
    app_proxies: Sequence[str]


async def examine_rows(database: Database, lacking: str) -> Rows:
    """`lacking` says what has to be mended before tables can be read, empty where nothing has."""
    if not lacking:
        try:
            return await database.read(_examine_rows)
        except StoreUnavailable:
            lacking = "PostgreSQL first"
    return Rows(skip((*CLUSTER_NAMES, "app proxies"), lacking), [])


async def examine_cluster(
    settings: ManagerSettings, rows: Rows, webservers: Sequence[str], clock: Clock
) -> list[Finding]:
    """`webservers` are addresses that no store knows of."""
    storage, config = await _examine_storage(settings)
    addresses = [one.manager_api for one in config.proxies.values()]
    addresses += [one.client_api for one in config.proxies.values()]
    asked = [*addresses, *rows.app_proxies, *webservers]
    return [
        *rows.findings,
        storage,
        *await _ask_all("app proxy", rows.app_proxies, "/status", "backendai-wsproxy"),
        *await _ask_all("webserver", webservers, "/health", "backendai-webserver"),
        await _examine_certificates(asked, clock),
    ]


async def _examine_rows(conn: AsyncConnection) -> Rows:
    leases = t.leases.c
    leader = await conn.scalar(
        sa.select(leases.holder).where(leases.name == PLAN, leases.expires_at > sa.func.now())
    )
    agents = await load_agents(conn)
    versions = await conn.execute(
        sa.select(t.agents.c.id, t.agents.c.version).where(
            t.agents.c.status != AgentStatus.TERMINATED
        )
    )
    findings = [
        judge_managers(await list_live(conn), leader),
        judge_versions({row.id: row.version for row in versions}, version(_OWN)),
        judge_node_clocks(agents),
        judge_node_disks(agents),
        judge_images(await _count_images(conn)),
        judge_waiting(await _load_waiting(conn)),
        judge_alerts(await list_alerts(conn, with_ended=False, limit=ALERTS_MAX)),
    ]
    return Rows(findings, await _load_app_proxies(conn))


async def _count_images(conn: AsyncConnection) -> int:
    count = sa.select(sa.func.count()).select_from(t.images).where(t.images.c.is_active)
    return int(await conn.scalar(count) or 0)


async def _load_waiting(conn: AsyncConnection) -> list[Waiting]:
    rule = sa.func.coalesce(_s.waiting["rule"].astext, "a first look")
    oldest = sa.func.extract("epoch", sa.func.max(sa.func.now() - _s.status_changed_at))
    found = await conn.execute(
        sa.select(rule, sa.func.count(), oldest).where(_s.status == "PENDING").group_by(rule)
    )
    return [Waiting(text, count, float(seconds)) for text, count, seconds in found]


async def _load_app_proxies(conn: AsyncConnection) -> list[str]:
    c = t.resource_groups.c
    found = await conn.execute(sa.select(c.wsproxy_addr).where(c.wsproxy_addr != "").distinct())
    return sorted(address for (address,) in found)


async def _examine_storage(settings: ManagerSettings) -> tuple[Finding, VolumeConfig]:
    try:
        async with EtcdStore(settings.etcd) as store:
            found = await store.get_prefix(VOLUMES_PREFIX)
    except Fault:
        return skip(["storage proxies"], "etcd first")[0], VolumeConfig()
    link = ProxyLink()
    # Keys come as they were written, with their prefix.
    link.learn(found)
    proxies = Proxies(link)
    try:
        names = sorted(proxies.config.proxies)
        answers = await asyncio.gather(*[_ask_proxy(proxies, name) for name in names])
    finally:
        await link.close()
    problems = {name: why for name, (why, _) in zip(names, answers, strict=True)}
    volumes = [volume for _, seen in answers for volume in seen]
    return judge_storage(problems, proxies.config.broken, volumes), proxies.config


async def _ask_proxy(proxies: Proxies, name: str) -> tuple[str, list[VolumeSeen]]:
    """Why it does not answer, or its volumes."""
    seen = []
    try:
        for volume in await proxies.list_volumes(name):
            host = f"{name}:{volume.name}"
            usage = await proxies.volume_usage(host)
            seen.append(VolumeSeen(host, usage.used_bytes, usage.capacity_bytes))
    except Fault as fault:
        return str(fault) or fault.code, seen
    return "", seen


async def _ask_all(name: str, addresses: Sequence[str], path: str, unit: str) -> list[Finding]:
    problems = await asyncio.gather(*[_ask(address, path) for address in addresses])
    fix = _START.format(unit)
    return [
        judge_daemon(name, address, problem, fix)
        for address, problem in zip(addresses, problems, strict=True)
    ]


async def _ask(address: str, path: str) -> str:
    """Why it is not well; its certificate is another matter."""
    timeout = aiohttp.ClientTimeout(ANSWER_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(address.rstrip("/") + path, ssl=False) as response,
        ):
            return "" if response.status == 200 else f"it answers {response.status}"
    except TimeoutError:
        return f"no answer within {ANSWER_SECONDS:g} s"
    except ValueError:
        return "this is no address"
    except aiohttp.ClientError as error:
        return str(error)


async def _examine_certificates(addresses: Sequence[str], clock: Clock) -> Finding:
    known = {address: _find_https(address) for address in sorted(set(addresses))}
    wanted = {address: place for address, place in known.items() if place is not None}
    found = await asyncio.gather(*[_find_end(*place) for place in wanted.values()])
    ends: Mapping[str, Any] = dict(zip(wanted, found, strict=True))
    return judge_certificates({key: at for key, at in ends.items() if at}, clock.now())


def _find_https(address: str) -> tuple[str, int] | None:
    """Host and port; None of what is no such address, which is told where it is asked."""
    try:
        parts = urlsplit(address)
        place = parts.hostname or "", parts.port or 443
    except ValueError:
        return None
    return place if parts.scheme == "https" else None


async def _find_end(host: str, port: int) -> datetime | None:
    """When the certificate that is shown there ends; None where nobody shows one."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.close()
    except (OSError, TimeoutError):
        return None
    return x509.load_der_x509_certificate(shown).not_valid_after_utc
