"""Dotfiles of keypairs, domains and projects, and the bootstrap script."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Answer, Caller, until
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.strangers import refuse_role, refuse_strangers

Create = Callable[..., Awaitable[dict[str, Any]]]
FILE = {"path": ".x", "permission": "644", "data": "hello"}
OWNERS: dict[str, dict[str, str]] = {
    "/user-config": {},
    "/domain-config": {"domain": "default"},
    "/group-config": {"group": "default", "domain": "default"},
}
ROUTES = [
    (verb, f"{prefix}/dotfiles", {**owner, **body})
    for prefix, owner in OWNERS.items()
    for verb, body in (
        ("GET", {}),
        ("POST", FILE),
        ("PATCH", FILE),
        ("DELETE", {"path": ".x"}),
    )
]
SCRIPTS = [
    ("GET", "/user-config/bootstrap-script", None),
    ("POST", "/user-config/bootstrap-script", {"script": "echo"}),
]
PREFIXES = pytest.mark.parametrize("prefix", OWNERS)


@pytest.fixture(autouse=True)
async def no_dotfiles(manager: Manager) -> AsyncIterator[None]:
    yield
    async with manager.stores.database.begin() as connection:
        await connection.execute(sa.text("delete from dotfiles"))


@pytest.fixture
def carol(as_user: Callable[[str], Caller]) -> Caller:
    """An administrator of the domain."""
    return as_user("carol")


async def add(caller: Caller, prefix: str, **changes: Any) -> Answer:
    body = {**OWNERS[prefix], **FILE, **changes}
    return await caller.ask("POST", f"{prefix}/dotfiles", body)


def query_of(prefix: str, **more: str) -> str:
    pairs = {**OWNERS[prefix], **more}
    query = "&".join(f"{key}={value}" for key, value in pairs.items())
    return f"{prefix}/dotfiles" + (f"?{query}" if query else "")


@pytest.mark.parametrize("route", [*ROUTES, *SCRIPTS])
async def test_strangers_are_refused(carol: Caller, route: tuple[str, str, Any]) -> None:
    await refuse_strangers(carol, route)


@pytest.mark.parametrize("route", [r for r in ROUTES if r[0] != "GET"])
async def test_who_may_not_write_does_not(
    as_user: Callable[[str], Caller], route: tuple[str, str, Any]
) -> None:
    await refuse_role(as_user("eve"), route)
    if not route[1].startswith("/user-config"):
        await refuse_role(as_user("alice"), route)


@pytest.mark.parametrize("route", [r for r in ROUTES if not r[1].startswith("/user-config")])
async def test_domains_and_projects_of_others_are_not_there(
    carol: Caller, as_user: Callable[[str], Caller], route: tuple[str, str, Any]
) -> None:
    """Mallory administers another domain, which has a project of the same name."""
    verb, path, body = route
    prefix = path.removesuffix("/dotfiles")
    assert (await add(carol, prefix)).status == 200
    answer = await as_user("mallory").ask(verb, path, body)
    assert (answer.status, answer.slug) == (404, "object-not-found")
    files = (await carol.ask("GET", query_of(prefix))).json
    assert files == [FILE]
    own = await as_user("mallory").ask("GET", "/group-config/dotfiles?group=default")
    assert own.json == []


async def test_keypairs_of_others_are_closed(
    alice: Caller, bob: Caller, carol: Caller, as_user: Callable[[str], Caller]
) -> None:
    assert (await add(alice, "/user-config")).status == 200
    for key in ("owner_access_key", "onwer_access_key"):
        path = f"/user-config/dotfiles?{key}=AKALICE"
        for stranger in (bob, as_user("mallory")):
            answer = await stranger.ask("GET", path)
            assert (answer.status, answer.slug) == (403, "generic-forbidden")
        for administrator in (carol, as_user("root")):
            assert (await administrator.ask("GET", path)).json == [FILE]
    assert (await bob.ask("GET", "/user-config/dotfiles")).json == []
    written = await add(carol, "/user-config", path=".by-carol", owner_access_key="AKALICE")
    assert written.status == 200
    paths = [one["path"] for one in (await alice.ask("GET", "/user-config/dotfiles")).json]
    assert paths == [".by-carol", ".x"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"path": ""}, "path"),
        ({"path": "/etc/passwd"}, "path"),
        ({"path": "/home/other/.x"}, "path"),
        ({"path": "../.x"}, "path"),
        ({"path": "a/./b"}, "path"),
        ({"path": "a//b"}, "path"),
        ({"path": "a/"}, "path"),
        ({"path": "a\nb"}, "path"),
        ({"path": ".ssh"}, "path"),
        ({"path": "x" * 257}, "path"),
        ({"permission": "888"}, "permission"),
        ({"permission": "0644"}, "permission"),
        ({"permission": "644\n"}, "permission"),
        ({"permission": 644}, "permission"),
        ({"data": None}, "data"),
        ({"data": ["hello"]}, "data"),
        ({"data": "x" * 65537}, "data"),
        ({"color": "red"}, "color"),
    ],
)
async def test_bad_dotfiles_name_what_is_wrong(
    alice: Caller, changes: dict[str, Any], field: str
) -> None:
    answer = await add(alice, "/user-config", **changes)
    assert (answer.status, answer.slug) == (400, "invalid-api-params"), answer.body
    assert [*answer.json["data"]] == [field]


@pytest.mark.parametrize("prefix", ["/domain-config", "/group-config"])
async def test_the_owner_has_to_be_named(carol: Caller, prefix: str) -> None:
    answer = await carol.ask("GET", f"{prefix}/dotfiles")
    assert (answer.status, answer.slug) == (400, "invalid-api-params")


@PREFIXES
async def test_dotfiles_are_added_read_replaced_and_deleted(carol: Caller, prefix: str) -> None:
    assert (await carol.ask("GET", query_of(prefix))).json == []
    made = await add(carol, prefix)
    assert (made.status, made.json) == (200, {})
    one = await carol.ask("GET", query_of(prefix, path=".x"))
    assert one.json == {"path": ".x", "perm": "644", "data": "hello"}
    again = await add(carol, prefix, data="other")
    assert (again.status, again.json["title"]) == (400, "Dotfile already exists.")
    body = {**OWNERS[prefix], "path": ".x", "permission": "755", "data": "new"}
    assert (await carol.ask("PATCH", f"{prefix}/dotfiles", body)).json == {}
    listed = (await carol.ask("GET", query_of(prefix))).json
    assert listed == [{"path": ".x", "permission": "755", "data": "new"}]
    gone = await carol.ask("DELETE", query_of(prefix, path=".x"))
    assert (gone.status, gone.json) == (200, {"success": True})
    for verb in ("GET", "DELETE"):
        missing = await carol.ask(verb, query_of(prefix, path=".x"))
        assert (missing.status, missing.json["title"]) == (404, "No such dotfile.")
    replaced = await carol.ask("PATCH", f"{prefix}/dotfiles", body)
    assert (replaced.status, replaced.json["title"]) == (404, "No such dotfile.")


async def test_members_read_what_their_domain_and_project_keep(
    alice: Caller, carol: Caller
) -> None:
    for prefix in ("/domain-config", "/group-config"):
        assert (await add(carol, prefix, data=prefix)).status == 200
        [file] = (await alice.ask("GET", query_of(prefix))).json
        assert file["data"] == prefix
    assert (await alice.ask("GET", "/user-config/dotfiles")).json == []


async def test_there_is_room_for_a_hundred(alice: Caller) -> None:
    for number in range(100):
        assert (await add(alice, "/user-config", path=f".f{number}")).status == 200
    refused = await add(alice, "/user-config", path=".one-more")
    assert (refused.status, refused.json["title"]) == (400, "Dotfile creation has failed.")
    assert (await alice.ask("DELETE", "/user-config/dotfiles?path=.f7")).status == 200
    assert (await add(alice, "/user-config", path=".one-more")).status == 200


async def test_all_together_have_a_size(alice: Caller) -> None:
    half = "x" * (32 * 1024)
    assert (await add(alice, "/user-config", path=".a", data=half)).status == 200
    for data in (half, "é" * (16 * 1024)):
        refused = await add(alice, "/user-config", path=".b", data=data)
        assert (refused.status, refused.slug) == (400, "generic-bad-request")
    assert (await add(alice, "/user-config", path=".b", data="x")).status == 200
    grown = {"path": ".b", "permission": "644", "data": half}
    assert (await alice.ask("PATCH", "/user-config/dotfiles", grown)).status == 400


async def test_two_at_once_do_not_pass_the_limit_or_make_one_twice(alice: Caller) -> None:
    big = "x" * (40 * 1024)
    answers = await asyncio.gather(
        *(add(alice, "/user-config", path=f".big{number}", data=big) for number in range(4)),
        *(add(alice, "/user-config", path=".same") for _ in range(4)),
    )
    assert sorted(answer.status for answer in answers[:4]) == [200, 400, 400, 400]
    assert sorted(answer.status for answer in answers[4:]) == [200, 400, 400, 400]


async def test_dotfiles_go_with_their_owner(manager: Manager, alice: Caller) -> None:
    async with manager.stores.database.begin() as connection:
        await connection.execute(
            sa.text(
                "insert into keypairs (access_key, secret_key_encrypted, user_id, resource_policy)"
                " select 'AKGONE', '', id, 'default' from users where username = 'alice'"
            )
        )
        add_file = sa.text(
            "insert into dotfiles (access_key, path, permission, data)"
            " values ('AKGONE', '.x', '644', '')"
        )
        await connection.execute(add_file)
        await connection.execute(sa.text("delete from keypairs where access_key = 'AKGONE'"))
        left = await connection.scalar(
            sa.text("select count(*) from dotfiles where access_key = 'AKGONE'")
        )
    assert left == 0
    assert alice.access_key == "AKALICE"


@pytest.mark.parametrize("body", [{}, {"script": 7}, {"script": "x" * 65537}, {"x": "y"}])
async def test_bad_scripts_are_refused(alice: Caller, body: dict[str, Any]) -> None:
    answer = await alice.ask("POST", "/user-config/bootstrap-script", body)
    assert (answer.status, answer.slug) == (400, "invalid-api-params")


async def test_the_bootstrap_script_is_what_new_sessions_run(
    alice: Caller, bob: Caller, agent: ScriptedAgent, create: Create
) -> None:
    path = "/user-config/bootstrap-script"
    assert (await alice.ask("GET", path)).json == ""
    script = "#!/bin/sh\necho hello\n"
    assert (await alice.ask("POST", path, {"script": script})).json == {}
    assert (await alice.ask("GET", path)).json == script
    assert (await bob.ask("GET", path)).json == ""
    numbers = iter(range(100))

    async def is_given() -> bool:
        # The keypair is remembered for a second, in which sessions could fill the node.
        name = f"scripted-{next(numbers)}"
        await create(alice, name)
        [*_, order] = [one for one in agent.asked_of("ensure") if one.spec is not None]
        assert (await alice.ask("DELETE", f"/session/{name}")).status == 200
        return bool(order.spec.bootstrap_script == script)

    await until(is_given)
    assert (await alice.ask("POST", path, {"script": ""})).status == 200


async def test_one_path_may_be_written_in_two_ways(alice: Caller) -> None:
    assert (await add(alice, "/user-config", path="/home/work/.x")).status == 200
    again = await add(alice, "/user-config", path=".x")
    assert (again.status, again.json["title"]) == (400, "Dotfile already exists.")
    one = await alice.ask("GET", "/user-config/dotfiles?path=/home/work/.x")
    assert one.json == {"path": ".x", "perm": "644", "data": "hello"}
    below = await add(alice, "/user-config", path=".x/y")
    assert (below.status, below.json["data"]) == (400, {"path": ".x/y"})


async def test_sessions_start_with_the_dotfiles_of_all_who_have_a_say(
    alice: Caller, bob: Caller, carol: Caller, agent: ScriptedAgent, create: Create
) -> None:
    """The user's before the project's before the domain's."""
    prefixes = ("/domain-config", "/group-config", "/user-config")
    for rank, prefix in enumerate(prefixes):
        owner = alice if prefix == "/user-config" else carol
        for path in (".of-all", ".of-two", ".of-one")[: 3 - rank]:
            assert (await add(owner, prefix, path=path, data=prefix)).status == 200
    assert (await add(bob, "/user-config", path=".of-bob")).status == 200
    made = await create(alice, "with-dotfiles")
    [order] = [
        one
        for one in agent.asked_of("ensure")
        if one.spec is not None and one.spec.session_id == made["sessionId"]
    ]
    assert {(file.path, file.permission, file.data) for file in order.spec.files} == {
        (".of-all", "644", "/user-config"),
        (".of-two", "644", "/group-config"),
        (".of-one", "644", "/domain-config"),
    }
