"""Resource groups that one may use, and the protocol of their app proxy."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web
from sqlalchemy.dialects.postgresql import JSONB

from backendai.common.http import make_app, serve
from backendai.common.settings.checks import HostPort
from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Answer, Caller
from tests.integration.manager.api.conftest import body_of
from tests.integration.manager.api.strangers import refuse_strangers

ROUTES = [
    ("GET", "/scaling-groups?group=default", None),
    ("GET", "/scaling-groups/default/wsproxy-version?group=default", None),
]


@pytest.fixture
async def groups(manager: Manager) -> AsyncIterator[None]:
    """`gpu` for the domain, not public; `closed` for nobody; `asleep` not active."""
    add = "insert into resource_groups (name, is_public, is_active, scheduler_opts) values "
    rows = """
      ('gpu', false, true, '{"allowed_session_types": ["batch"], "placement": "dispersed"}'),
      ('closed', true, true, '{}'), ('asleep', true, false, '{}')"""
    allow = "insert into resource_group_domains values ('gpu', 'default'), ('asleep', 'default')"
    names = "('gpu', 'closed', 'asleep')"
    async with manager.stores.database.begin() as connection:
        await connection.execute(sa.text(add + rows.replace(":", r"\:")))
        await connection.execute(sa.text(allow))
    yield
    async with manager.stores.database.begin() as connection:
        move = f"update sessions set resource_group = 'default' where resource_group in {names}"
        await connection.execute(sa.text(move))
        for table, column in (
            ("resource_group_domains", "resource_group"),
            ("resource_groups", "name"),
        ):
            gone = f"delete from {table} where {column} in {names}"
            await connection.execute(sa.text(gone))


@pytest.mark.parametrize("route", ROUTES)
async def test_strangers_are_refused(alice: Caller, route: tuple[str, str, Any]) -> None:
    await refuse_strangers(alice, route)


@pytest.mark.usefixtures("groups")
async def test_projects_and_groups_of_others_are_not_there(
    manager: Manager, alice: Caller, as_user: Callable[[str], Caller]
) -> None:
    async with manager.stores.database.begin() as connection:
        foreign = await connection.scalar(
            sa.text("select id from projects where domain_name = 'other'")
        )
    for caller in (alice, as_user("carol")):
        for project in (str(foreign), "no-such-project"):
            answer = await caller.ask("GET", f"/scaling-groups?group={project}")
            assert (answer.status, answer.slug) == (404, "object-not-found")
    for name in ("closed", "asleep", "gpu", "none"):
        answer = await alice.ask("GET", f"/scaling-groups/{name}/wsproxy-version?group=default")
        assert (answer.status, answer.json["title"]) == (404, "No such scaling group.")


@pytest.mark.parametrize("query", ["?group=", "?group=a&group=b", f"?group={'x' * 65}", "?g=1"])
async def test_bad_input_is_refused(alice: Caller, query: str) -> None:
    answer = await alice.ask("GET", f"/scaling-groups{query}")
    assert (answer.status, answer.slug) == (400, "invalid-api-params")


@pytest.mark.usefixtures("groups")
async def test_groups_that_are_not_public_are_for_administrators(
    alice: Caller, as_user: Callable[[str], Caller]
) -> None:
    mine = (await alice.ask("GET", "/scaling-groups?group=default")).json
    assert mine == {
        "scaling_groups": [{"name": "default", "is_public": True, "scheduler_opts": {}}]
    }
    for name in ("carol", "root"):
        theirs = (await as_user(name).ask("GET", "/scaling-groups")).json["scaling_groups"]
        assert [one["name"] for one in theirs] == ["default", "gpu"]
        assert theirs[1] == {
            "name": "gpu",
            "is_public": False,
            "scheduler_opts": {"allowed_session_types": ["batch"]},
        }


@pytest.mark.usefixtures("groups", "agent")
async def test_a_group_takes_only_its_types_of_sessions(manager: Manager, alice: Caller) -> None:
    """Where none is named, one that takes the type is chosen, if need be before `default`."""

    async def create(name: str, kind: str, **config: str) -> Answer:
        more = {"type": kind, "startupCommand": "true", "enqueueOnly": True, "config": config}
        return await alice.ask("POST", "/session", body_of(name, **more))

    async def group_of(name: str) -> str:
        async with manager.stores.database.begin() as connection:
            find = sa.text("select resource_group from sessions where name = :name")
            return str(await connection.scalar(find, {"name": name}))

    refused = await create("typed", "interactive", scalingGroup="gpu")
    assert (refused.status, refused.slug) == (400, "invalid-api-params")
    assert refused.json["data"] == {
        "type": "no resource group here takes interactive sessions; taken are gpu: batch"
    }
    assert (await create("typed-gpu", "batch", scalingGroup="gpu")).status == 201
    options = "update resource_groups set scheduler_opts = :options where name = 'default'"
    change = sa.text(options).bindparams(sa.bindparam("options", type_=JSONB))
    try:
        async with manager.stores.database.begin() as connection:
            await connection.execute(
                change, {"options": {"allowed_session_types": ["interactive"]}}
            )
        assert (await create("typed-free", "batch")).status == 201
        assert await group_of("typed-free") == "gpu"
        nowhere = await create("typed", "inference")
        assert (nowhere.status, nowhere.json["data"]["type"].partition("; ")[2]) == (
            400,
            "taken are default: interactive; gpu: batch",
        )
    finally:
        async with manager.stores.database.begin() as connection:
            await connection.execute(change, {"options": {}})
        for name in ("typed-gpu", "typed-free"):
            assert (await alice.ask("DELETE", f"/session/{name}?forced=true")).status == 200


@pytest.fixture
async def proxy() -> AsyncIterator[tuple[HostPort, dict[str, Any]]]:
    """An app proxy that answers with what is in the second value."""
    answer: dict[str, Any] = {"body": {"api_version": "v2"}}

    async def status(_request: web.Request) -> web.Response:
        return web.json_response(answer["body"])

    app = make_app()
    app.router.add_get("/status", status)
    async with serve(app, HostPort("127.0.0.1", 0)) as address:
        yield address, answer


async def test_the_proxys_protocol_is_asked_of_it(
    manager: Manager, alice: Caller, proxy: tuple[HostPort, dict[str, Any]]
) -> None:
    address, answer = proxy
    path = ROUTES[1][1]

    async def set_address(text: str) -> None:
        async with manager.stores.database.begin() as connection:
            await connection.execute(
                sa.text("update resource_groups set wsproxy_addr = :text where name = 'default'"),
                {"text": text},
            )

    assert (await alice.ask("GET", path)).json == {"wsproxy_version": "v1"}
    try:
        await set_address(f"http://{address}/")
        assert (await alice.ask("GET", path)).json == {"wsproxy_version": "v2"}
        answer["body"] = {}
        assert (await alice.ask("GET", path)).json == {"wsproxy_version": "v1"}
        for odd in ({"api_version": "v9"}, {"api_version": 2}, "no object"):
            answer["body"] = odd
            refused = await alice.ask("GET", path)
            assert (refused.status, refused.slug) == (503, "service-unavailable")
        for away in ("http://127.0.0.1:1", "no address", "http://[broken"):
            await set_address(away)
            assert (await alice.ask("GET", path)).status == 503
    finally:
        await set_address("")
