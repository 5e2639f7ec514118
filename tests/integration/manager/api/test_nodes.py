"""Users and projects as nodes: who sees which, by id and in pages from either end."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.test_lists import EVERYBODY, SEEN

AsUser = Callable[[str], Caller]

PAGE_INFO = "pageInfo { hasPreviousPage hasNextPage startCursor endCursor }"
LONG_CURSOR = base64.b64encode(b"Place:" + b"9" * 5000).decode()
NAMES = sorted(SEEN["root"])
MEMBERS = 'id name user_nodes(first: 2, order: "username") { count edges { node { username } } }'


async def test_no_credential_a_wrong_one_and_an_old_one(nobody: Caller, alice: Caller) -> None:
    body = {"query": "{ user_nodes { count } }"}
    assert (await nobody.ask("POST", "/admin/gql", body)).status == 401
    wrong = alice.but(secret_key="x")
    assert (await wrong.ask("POST", "/admin/gql", body)).status == 401
    late = alice.but(shift=timedelta(hours=1))
    assert (await late.ask("POST", "/admin/gql", body)).status == 400


async def ask(caller: Caller, text: str) -> Any:
    found = await caller.graph(f"{{ {text} }}")
    assert "errors" not in found, found["errors"]
    return next(iter(found["data"].values()))


async def users(caller: Caller, args: str = "") -> tuple[list[str], dict[str, Any]]:
    """The names in a page of all users by name, and the rest of its connection."""
    order = f'(order: "username"{args and ", "}{args})'
    fields = f"count edges {{ cursor node {{ username }} }} {PAGE_INFO}"
    page = await ask(caller, f"user_nodes{order} {{ {fields} }}")
    return [edge["node"]["username"] for edge in page.pop("edges")], page


@pytest.mark.parametrize("name", EVERYBODY)
async def test_each_sees_the_users_and_projects_of_their_own(as_user: AsUser, name: str) -> None:
    caller = as_user(name)
    names, rest = await users(caller)
    assert (names, rest["count"]) == (sorted(SEEN[name]), len(SEEN[name]))
    domains = {"root": ["default", "other"], "mallory": ["other"]}.get(name, ["default"])
    shown = await ask(
        caller, f"group_nodes {{ count edges {{ node {{ domain_name {MEMBERS} }} }} }}"
    )
    nodes = [edge["node"] for edge in shown["edges"]]
    assert ([node["domain_name"] for node in nodes], shown["count"]) == (domains, len(domains))
    for node in nodes:
        seen = sorted(
            SEEN[name] & (SEEN["mallory"] if node["domain_name"] == "other" else SEEN["carol"])
        )
        members = [edge["node"]["username"] for edge in node["user_nodes"]["edges"]]
        assert (members, node["user_nodes"]["count"]) == (seen[:2], len(seen))


async def test_what_one_may_not_see_is_not_there(as_user: AsUser) -> None:
    found = await ask(as_user("root"), "user_nodes { edges { node { id username } } }")
    ids = {edge["node"]["username"]: edge["node"]["id"] for edge in found["edges"]}
    projects = await ask(as_user("root"), "group_nodes { edges { node { id domain_name } } }")
    theirs = {edge["node"]["domain_name"]: edge["node"]["id"] for edge in projects["edges"]}
    for name in EVERYBODY:
        caller = as_user(name)
        for other, node_id in ids.items():
            shown = {"username": other} if other in SEEN[name] else None
            assert await ask(caller, f'user_node(id: "{node_id}") {{ username }}') == shown
            node = f'node(id: "{node_id}") {{ id ... on UserNode {{ username }} }}'
            assert await ask(caller, node) == (shown and {"id": node_id, **shown})
        for domain, node_id in theirs.items():
            may = name == "root" or (name == "mallory") is (domain == "other")
            node = await ask(caller, f'group_node(id: "{node_id}") {{ {MEMBERS} }}')
            assert (node is not None) is may
            text = f'node(id: "{node_id}") {{ ... on GroupNode {{ {MEMBERS} }} }}'
            assert await ask(caller, text) == node


async def test_every_field_has_its_value(as_user: AsUser) -> None:
    root = as_user("root")
    fields = """username email need_password_change full_name description is_active status
      status_info created_at modified_at domain_name role resource_policy allowed_client_ip
      totp_activated totp_activated_at sudo_session_enabled"""
    args = """filter: "username == \\"alice\\"" """
    page = await ask(root, f"user_nodes({args}) {{ edges {{ node {{ id {fields} }} }} }}")
    node = page["edges"][0]["node"]
    as_listed = await ask(
        root, f"""user_list(limit: 1, offset: 0, {args}) {{ items {{ {fields} }} }}"""
    )
    kind, _, own = base64.b64decode(node.pop("id")).decode().partition(":")
    assert node == as_listed["items"][0]
    assert kind == "UserNode"
    assert await ask(root, f'user_node(id: "{own}") {{ email }}') == {"email": "alice@example.com"}


async def test_pages_go_on_from_either_end(as_user: AsUser) -> None:
    root = as_user("root")
    forward: list[str] = []
    after = ""
    while len(forward) < len(NAMES):
        page, rest = await users(root, f"first: 3{after}")
        assert rest["pageInfo"]["hasPreviousPage"] is bool(forward)
        forward += page
        assert rest["count"] == len(NAMES)
        assert rest["pageInfo"]["hasNextPage"] is (forward != NAMES)
        after = f', after: "{rest["pageInfo"]["endCursor"]}"'
    assert forward == NAMES
    backward: list[str] = []
    before = ""
    while len(backward) < len(NAMES):
        page, rest = await users(root, f"last: 3{before}")
        backward = page + backward
        assert rest["pageInfo"]["hasPreviousPage"] is (backward != NAMES)
        before = f', before: "{rest["pageInfo"]["startCursor"]}"'
    assert backward == NAMES
    assert (await users(root, "first: 2, offset: 3"))[0] == NAMES[3:5]
    assert (await users(root, f"first: 100{after}"))[0] == []
    page, rest = await users(root, "first: 0")
    assert (page, rest["count"]) == ([], len(NAMES))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("user_nodes(first: 1, last: 1) { count }", "not for both"),
        ("user_nodes(first: 1001) { count }", "0 to 1000"),
        ("user_nodes(last: -1) { count }", "0 to 1000"),
        ("user_nodes(offset: -1) { count }", "offset 0 to"),
        ('user_nodes(after: "x") { count }', "no id"),
        (f'user_nodes(after: "{LONG_CURSOR}") {{ count }}', "after must be a cursor"),
        ('group_nodes(before: "VXNlck5vZGU6MQ==") { count }', "before must be a cursor"),
        ('user_nodes(filter: "nothing == 1") { count }', "unknown column"),
        ('group_nodes(order: "nothing") { count }', "unknown column"),
        ('user_node(id: "alice") { id }', "no id"),
        ('node(id: "VXNlck5vZGU6MQ==") { id }', "is no id"),
        ('group_node(id: "VXNlck5vZGU6MQ==") { id }', "of a UserNode, not of a GroupNode"),
    ],
)
async def test_bad_arguments_are_told(alice: Caller, text: str, told: str) -> None:
    found = await alice.graph(f"{{ {text} }}")
    assert told in found["errors"][0]["message"]


async def test_a_node_of_a_type_that_is_not_there_is_null(alice: Caller) -> None:
    unknown = base64.b64encode(b"VirtualFolderNode:1").decode()
    assert await ask(alice, f'node(id: "{unknown}") {{ id }}') is None
