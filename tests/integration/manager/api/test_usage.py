"""Usage: exact sums clipped to the period, kept when its sessions, users and projects are gone."""

import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.strangers import refuse_role, refuse_strangers

AsUser = Callable[[str], Caller]
UNKNOWN = uuid.UUID(int=1)
MONTH = "/resource/usage/month"
PERIOD = "/resource/usage/period"
OWN = "/resource/stats/user/month"
ALL = "/resource/stats/admin/month"
ROUTES = [
    ("GET", MONTH, {"month": "202401", "group_ids": []}),
    ("GET", PERIOD, {"group_id": str(UNKNOWN), "start_date": "20240101", "end_date": "20240102"}),
    ("GET", ALL, None),
    ("GET", OWN, None),
]
GIB = 1 << 30
NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
USE = {
    "cpu_used_milliseconds": 1500,
    "memory_bytes": 100,
    "memory_bytes_max": 200,
    "io_read_bytes": 300,
    "io_write_bytes": 400,
    "scratch_bytes": 500,
}

# Statements that make one ended session of the user with this access key.
_SESSION = """
INSERT INTO sessions (id, name, type, domain_name, project_id, user_id, access_key, created_by,
  resource_group, cluster_mode, cluster_size, status, status_changed_at, created_at, ended_at)
SELECT :session_id, :name, 'interactive', p.domain_name, p.id, k.user_id, k.access_key, k.user_id,
  'default', 'single-node', 1, :status, :ended, :begun, :ended
FROM keypairs k, projects p WHERE k.access_key = :access_key AND p.id = :project_id
"""
_KERNEL = """
INSERT INTO kernels (id, session_id, cluster_role, cluster_index, cluster_hostname, image,
  architecture, shared_memory_bytes, status, status_changed_at, created_at, ended_at, last_use,
  agent_id, container_id)
VALUES (:kernel_id, :session_id, 'main', 1, 'main1', 'python:3.11', 'x86_64', 64, :status, :ended,
  :begun, :ended, :use, 'i-usage', 'c1')
"""
_ALLOCATION = """
INSERT INTO allocations (kernel_id, generation, slot, agent_id, amount, allocated_at, freed_at)
VALUES (:kernel_id, 1, :slot, 'i-usage', :amount, :begun, :ended)
"""
_AGENT = """
INSERT INTO agents (id, status, address, public_key, resource_group, schedulable)
VALUES ('i-usage', 'TERMINATED', '', '', 'default', false) ON CONFLICT DO NOTHING
"""


class World:
    """Writes history by hand: what is measured here took place long ago."""

    def __init__(self, manager: Manager) -> None:
        self._database = manager.stores.database

    async def run(self, words: str, **values: Any) -> Any:
        statement = sa.text(words)
        if "use" in values:
            statement = statement.bindparams(sa.bindparam("use", type_=sa.JSON))
        async with self._database.begin() as connection:
            done = await connection.execute(statement, values)
            return done.fetchall() if done.returns_rows else None

    async def project(self, domain: str = "default") -> str:
        words = "select id from projects where domain_name = :domain and name = 'default'"
        [[found]] = await self.run(words, domain=domain)
        return str(found)

    async def session(
        self,
        access_key: str,
        begun: datetime,
        hours: float,
        *,
        amounts: dict[str, str] | None = None,
        project_id: str | None = None,
    ) -> uuid.UUID:
        session_id, kernel_id = uuid.uuid4(), uuid.uuid4()
        ended = begun + timedelta(hours=hours)
        common: dict[str, Any] = {"begun": begun, "ended": ended, "status": "TERMINATED"}
        common |= {"session_id": session_id, "kernel_id": kernel_id}
        await self.run(_AGENT)
        of = {"access_key": access_key, "project_id": project_id or await self.project()}
        await self.run(
            _SESSION, name=f"s-{session_id.hex[:8]}", **of, **without(common, "kernel_id")
        )
        await self.run(_KERNEL, use=USE, **common)
        for slot, amount in (
            amounts or {"cpu": "1.5", "mem": str(GIB), "cuda.device": "2"}
        ).items():
            values = {"slot": slot, "amount": float(amount), "begun": begun, "ended": ended}
            await self.run(_ALLOCATION, kernel_id=kernel_id, **values)
        return session_id


def without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


@pytest.fixture
async def world(manager: Manager) -> AsyncIterator[World]:
    made = World(manager)
    yield made
    for table in ("allocations", "usage_records", "kernels", "history", "sessions"):
        await made.run(f"delete from {table}")


@pytest.fixture
def root(as_user: AsUser) -> Caller:
    return as_user("root")


async def month(caller: Caller, text: str = "202401", *ids: str) -> list[Any]:
    answer = await caller.ask("GET", MONTH, {"month": text, "group_ids": list(ids)})
    assert answer.status == 200, answer.body
    found: list[Any] = answer.json
    return found


async def period(caller: Caller, group_id: str, start: str, end: str) -> Any:
    body = {"group_id": group_id, "start_date": start, "end_date": end}
    answer = await caller.ask("GET", PERIOD, body)
    assert answer.status == 200, answer.body
    return answer.json


async def test_strangers_and_those_who_may_not_are_refused(alice: Caller, as_user: AsUser) -> None:
    for route in ROUTES:
        await refuse_strangers(alice, route)
    for name in ("alice", "carol", "mallory", "eve"):
        # Domain admins have the bills of their own projects.
        for route in ROUTES[2 if name in ("carol", "mallory") else 0 : 3]:
            await refuse_role(as_user(name), route)


async def test_nobody_sees_the_curves_of_others(
    world: World, alice: Caller, as_user: AsUser
) -> None:
    now = datetime.now(UTC)
    await world.session("AKALICE", now - timedelta(hours=3), 2)
    for caller, count in ((alice, 1), (as_user("bob"), 0), (as_user("carol"), 0)):
        points = (await caller.ask("GET", OWN)).json
        assert len(points) == 2880
        assert max(point["num_sessions"]["value"] for point in points) == count


async def test_bad_questions_name_what_is_wrong(root: Caller) -> None:
    days = {"start_date": "20240101", "end_date": "20240102"}
    for path, body, field in (
        (MONTH, {}, "month"),
        (MONTH, {"month": "202413"}, "month"),
        (MONTH, {"month": 202401}, "month"),
        (MONTH, {"month": "202401", "group_ids": ["x"]}, "group_ids"),
        (PERIOD, {**days, "group_id": "x"}, "group_id"),
        (PERIOD, {**days, "start_date": "20240230"}, "start_date"),
        (PERIOD, {**days, "end_date": "20231231"}, "end_date"),
        (PERIOD, {**days, "end_date": "20240411"}, "end_date"),
        (PERIOD, {**days, "more": 1}, "more"),
    ):
        answer = await root.ask("GET", path, body)
        assert (answer.status, answer.slug) == (400, "invalid-api-params"), body
        assert {key.partition(".")[0] for key in answer.json["data"]} == {field}
    body = {**days, "group_id": str(UNKNOWN)}
    assert (await root.ask("GET", PERIOD, body)).status == 404


async def test_a_month_tells_each_kernel_and_the_exact_sums(world: World, root: Caller) -> None:
    session_id = await world.session("AKALICE", NEW_YEAR - timedelta(hours=1), 3)
    await world.session("AKBOB", NEW_YEAR + timedelta(days=40), 1)
    project_id = await world.project()
    [project] = await month(root, "202401", project_id)
    [kernel] = project["c_infos"]
    assert (project["g_id"], project["g_name"], project["domain_name"]) == (
        project_id,
        "default",
        "default",
    )
    exact = {"cpu": "10800", "mem": str(GIB * 7200), "cuda.device": "14400"}
    assert project["g_slot_seconds"] == kernel["slot_seconds"] == exact
    assert (project["g_smp"], project["g_mem_allocated"], project["g_gpu_allocated"]) == (
        1.5,
        GIB,
        2,
    )
    assert (project["g_cpu_used"], project["g_mem_used"]) == (1.5, 200)
    assert (project["g_io_read"], project["g_io_write"], project["g_disk_used"]) == (300, 400, 500)
    assert project["g_device_type"] == kernel["device_type"] == ["cuda"]
    assert (kernel["session_id"], kernel["used_time"], kernel["used_days"]) == (
        str(session_id),
        "2:00:00",
        1,
    )
    assert (kernel["email"], kernel["access_key"], kernel["image_name"], kernel["status"]) == (
        "alice@example.com",
        "AKALICE",
        "python:3.11",
        "TERMINATED",
    )
    assert datetime.fromisoformat(kernel["created_at"]) == NEW_YEAR - timedelta(hours=1)
    assert datetime.fromisoformat(kernel["terminated_at"]) == NEW_YEAR + timedelta(hours=2)
    assert len(await month(root)) == 1
    assert await month(root, "202401", await world.project("other")) == []
    assert await month(root, "202403") == []


_MANY = """
WITH made AS (
  INSERT INTO sessions (id, name, type, domain_name, project_id, user_id, access_key, created_by,
    resource_group, cluster_mode, cluster_size, status, status_changed_at, created_at, ended_at)
  SELECT gen_random_uuid(), 'many-' || n, type, domain_name, project_id, user_id, access_key,
    created_by, resource_group, cluster_mode, 1, status, status_changed_at, created_at, ended_at
  FROM sessions, generate_series(2, CAST(:count AS int)) AS n RETURNING id
), filled AS (
  INSERT INTO kernels (id, session_id, cluster_role, cluster_index, cluster_hostname, image,
    architecture, shared_memory_bytes, status, status_changed_at, created_at, agent_id)
  SELECT made.id, made.id, cluster_role, 1, cluster_hostname, image, architecture, 64, status,
    status_changed_at, created_at, agent_id FROM made, kernels RETURNING id
)
INSERT INTO allocations (kernel_id, generation, slot, agent_id, amount, allocated_at, freed_at)
SELECT filled.id, 1, slot, agent_id, amount, allocated_at, freed_at FROM filled, allocations
"""


async def test_a_long_history_is_counted_whole(world: World, root: Caller) -> None:
    """It is read page by page."""
    count = 1203
    await world.session("AKALICE", NEW_YEAR, 1, amounts={"cpu": "1.5"})
    await world.run(_MANY, count=count)
    [project] = await month(root)
    assert len({kernel["id"] for kernel in project["c_infos"]}) == count
    assert project["g_slot_seconds"] == {"cpu": str(5400 * count)}
    assert (project["g_smp"], project["g_shared_memory"]) == (1.5 * count, 64 * count)


async def test_a_period_has_its_last_day_and_is_one_object_of_one_project(
    world: World, root: Caller
) -> None:
    await world.session("AKALICE", NEW_YEAR + timedelta(hours=23), 2)
    project_id = await world.project()

    async def cores(start: str, end: str) -> str:
        found = await period(root, project_id, start, end)
        return str(found["g_slot_seconds"]["cpu"])

    assert await cores("20240101", "20240101") == "5400"
    assert await cores("20240102", "20240102") == "5400"
    assert await cores("20240101", "20240102") == "10800"
    assert await period(root, project_id, "20240103", "20240104") == {}
    query = f"?start_date=20240101&end_date=20240102&group_id={project_id}"
    assert (await root.ask("GET", PERIOD + query)).json["g_id"] == project_id
    listed = (await root.ask("GET", f"{PERIOD}?start_date=20240101&end_date=20240102")).json
    assert [one["g_id"] for one in listed] == [project_id]


async def test_what_still_runs_counts_until_now(world: World, root: Caller) -> None:
    begun = datetime.now(UTC) - timedelta(hours=1)
    await world.session("AKALICE", begun, 2, amounts={"cpu": "1"})
    await world.run("update allocations set freed_at = null")
    await world.run("update kernels set ended_at = null, status = status")
    found = await month(root, f"{begun:%Y%m}") + await month(root, f"{datetime.now(UTC):%Y%m}")
    kernels = {kernel["id"]: kernel for one in found for kernel in one["c_infos"]}
    [kernel] = kernels.values()
    assert kernel["terminated_at"] == ""
    assert float(kernel["slot_seconds"]["cpu"]) <= 3700


async def test_purged_users_and_projects_stay_on_the_bill(world: World, root: Caller) -> None:
    word = f"n{uuid.uuid4().hex[:8]}"
    await root.graph(
        "mutation($email: String!, $props: UserInput!)"
        " { create_user(email: $email, props: $props) { ok msg } }",
        email=f"{word}@example.com",
        props={"username": word, "password": "pw", "domain_name": "default"},
    )
    email = f"{word}@example.com"
    [[key]] = await world.run("select main_access_key from users where email = :e", e=email)
    made = await root.graph(
        "mutation($name: String!, $props: GroupInput!)"
        " { create_group(name: $name, props: $props) { ok msg group { id } } }",
        name=word,
        props={"domain_name": "default"},
    )
    group_id = made["data"]["create_group"]["group"]["id"]
    await world.session(key, NEW_YEAR, 1, project_id=group_id)
    before = await month(root)
    for words, values in (
        (
            "mutation($email: String!, $props: PurgeUserInput!)"
            " { purge_user(email: $email, props: $props) { ok msg } }",
            {"email": f"{word}@example.com", "props": {}},
        ),
        ("mutation($gid: UUID!) { purge_group(gid: $gid) { ok msg } }", {"gid": group_id}),
    ):
        [done] = (await root.graph(words, **values))["data"].values()
        assert done["ok"], done
        assert await month(root) == before
    [[kept]] = await world.run("select count(*) from sessions")
    assert (kept, len(before)) == (0, 1)
    told = await period(root, group_id, "20240101", "20240101")
    assert (told["g_name"], told["c_infos"][0]["email"]) == (word, f"{word}@example.com")


async def test_curves_have_a_point_for_each_quarter_of_an_hour(world: World, root: Caller) -> None:
    now = datetime.now(UTC)
    quarter = datetime.fromtimestamp(now.timestamp() // 900 * 900, UTC)
    await world.session("AKALICE", quarter - timedelta(hours=2), 1)
    points = (await root.ask("GET", ALL)).json
    assert len(points) == 2880
    assert {later["date"] - one["date"] for one, later in pairwise(points)} == {900}
    assert points[-1]["date"] <= now.timestamp()
    at = {point["date"]: point for point in points}
    assert at[quarter.timestamp() - 7200] == {
        "date": quarter.timestamp() - 7200,
        "num_sessions": {"value": 1, "unit_hint": "count"},
        "cpu_allocated": {"value": 1.5, "unit_hint": "count"},
        "mem_allocated": {"value": GIB, "unit_hint": "bytes"},
        "gpu_allocated": {"value": 2, "unit_hint": "count"},
        "io_read_bytes": {"value": 75, "unit_hint": "bytes"},
        "io_write_bytes": {"value": 100, "unit_hint": "bytes"},
        "disk_used": {"value": 500, "unit_hint": "bytes"},
    }
    assert at[quarter.timestamp() - 3600]["num_sessions"]["value"] == 0
