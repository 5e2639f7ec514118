"""Checks of the nodes: heard lately, reached with our key, and what they hold as it is recorded."""

import asyncio
from collections.abc import Sequence
from typing import Final

from backendai.common.contracts.agent import OBSERVE, AgentReport, Observe
from backendai.common.enums import AgentStatus
from backendai.common.faults import Fault, ServerMisconfigured
from backendai.common.ids import AgentId, SystemIds
from backendai.common.rpc.curve import load_keypair
from backendai.manager.agents.link import RpcLinks
from backendai.manager.agents.model import AgentRow, Contact, Patience
from backendai.manager.agents.store import list_agents
from backendai.manager.db.engine import Database
from backendai.manager.lifecycle.postgres import PostgresStore
from backendai.manager.lifecycle.reap import load_drift
from backendai.manager.settings import ServiceSettings

from .model import Finding, fail, judge_agents, judge_drift, ok, some

ANSWER_SECONDS: Final = 3.0
AT_ONCE: Final = 32


async def check_nodes(database: Database, own: ServiceSettings) -> list[Finding]:
    patience = Patience.of_timeouts(own.heartbeat_timeout, own.agent_lost_after)
    rows = await database.read(list_agents)
    alive = [row for row in rows if row.status is AgentStatus.ALIVE]
    reports, problems = await _ask_all(alive, own)
    drift = await load_drift(PostgresStore(database, SystemIds()), reports)
    return [
        judge_agents(rows, patience),
        _judge_answers(len(alive), problems),
        judge_drift(drift, is_whole=len(reports) == len(alive)),
    ]


async def _ask_all(
    rows: Sequence[AgentRow], own: ServiceSettings
) -> tuple[dict[AgentId, AgentReport], list[str]]:
    """What each says that it runs, and why some did not say it."""
    reports: dict[AgentId, AgentReport] = {}
    problems: list[str] = []
    try:
        links = RpcLinks(None if own.rpc_keypair is None else load_keypair(own.rpc_keypair))
    except ServerMisconfigured as fault:
        return reports, [fault.detail]
    turns = asyncio.Semaphore(AT_ONCE)

    async def ask(row: AgentRow) -> None:
        async with turns:
            await links.connect(Contact(row.id, row.address, row.public_key))
            try:
                reports[row.id] = await links.ask(row.id, OBSERVE, Observe(), ANSWER_SECONDS)
            except Fault as fault:
                problems.append(f"{row.id} at {row.address}: {fault}")

    try:
        async with asyncio.TaskGroup() as group:
            for row in rows:
                group.create_task(ask(row), name=f"doctor:{row.id}")
    finally:
        await links.close()
    return reports, sorted(problems)


def _judge_answers(count: int, problems: Sequence[str]) -> Finding:
    if not problems:
        return ok("RPC", f"{count} agents answer")
    fix = "let this machine reach their ports, and know our key ([agent] manager-public-keys-file)"
    return fail("RPC", some(problems), fix)
