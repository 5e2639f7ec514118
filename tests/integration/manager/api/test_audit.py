"""What was changed and by whom: who reads of it, how it is narrowed, and what it never shows."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.test_accounts import (
    CREATE_DOMAIN,
    CREATE_USER,
    DELETE_USER,
    MODIFY_GROUP,
    MODIFY_USER,
    add_group,
    add_key,
    done,
    new_user,
    run,
)

AsUser = Callable[[str], Caller]


async def entries(caller: Caller, query: str = "limit=100") -> list[dict[str, Any]]:
    answer = await caller.ask("GET", f"/audit?{query}")
    assert answer.status == 200, answer.body
    assert answer.json["total_count"] >= len(answer.json["items"])
    found: list[dict[str, Any]] = answer.json["items"]
    return found


async def test_nobody_reads_it_without_a_credential(nobody: Caller) -> None:
    assert (await nobody.ask("GET", "/audit")).status == 401


async def test_nor_with_a_wrong_one(as_user: AsUser) -> None:
    assert (await as_user("root").but(secret_key="x").ask("GET", "/audit")).status == 401


async def test_each_admin_reads_of_the_own_domain_alone(as_user: AsUser) -> None:
    word = f"n{uuid.uuid4().hex[:8]}"
    root, carol, mallory = as_user("root"), as_user("carol"), as_user("mallory")
    home, away = await add_group(carol, word), await add_group(mallory, word, "other")
    await done(root, CREATE_DOMAIN, name=word, input={})
    assert {home, away, word} <= {each["target_id"] for each in await entries(root)}
    for caller, domain, own in ((carol, "default", home), (mallory, "other", away)):
        seen = await entries(caller, "limit=100")
        assert {each["domain"] for each in seen} == {domain}
        assert own in {each["target_id"] for each in seen}
    assert await entries(carol, "domain=other") == []
    for who in ("alice", "eve"):
        assert (await as_user(who).ask("GET", "/audit")).status == 401


async def test_a_change_is_told_with_before_and_after(as_user: AsUser) -> None:
    root, word = as_user("root"), f"n{uuid.uuid4().hex[:8]}"
    email = f"{word}@example.com"
    await done(root, CREATE_USER, email=email, input=new_user(username=word))
    await add_key(root, email)
    changes = {"full_name": "New Name", "password": "another secret"}
    sent = {"query": MODIFY_USER, "variables": {"email": email, "input": changes}}
    answer = await root.ask("POST", "/admin/gql", sent, headers={"X-Request-Id": f"request-{word}"})
    assert answer.json["data"]["modify_user"]["ok"]
    (entry,) = await entries(root, f"request_id=request-{word}")
    assert (entry["action"], entry["target_kind"], entry["target_id"]) == (
        "user.modify",
        "user",
        email,
    )
    assert (entry["email"], entry["access_key"], entry["as_email"], entry["domain"]) == (
        "root@example.com",
        "AKROOT",
        None,
        "default",
    )
    assert entry["before"]["full_name"] == ""
    assert entry["after"]["full_name"] == "New Name"
    assert (entry["before"]["password_hash"], entry["after"]["password_hash"]) == ("***", "***")
    everything = (await root.ask("GET", f"/audit?target_id={email}&limit=100")).body.decode()
    assert "argon2" not in everything
    assert "another secret" not in everything
    keys = await entries(root, "target_kind=keypair&action=keypair.create&limit=1")
    assert keys[0]["after"]["secret_key_encrypted"] == "***"
    assert keys[0]["domain"] == "default"


async def test_a_star_stands_for_anything(as_user: AsUser) -> None:
    root, word = as_user("root"), f"n{uuid.uuid4().hex[:8]}"
    gid = await add_group(root, word)
    for pattern in ("project.*", "*.create", "PROJECT.CREATE*", "*"):
        told = await entries(root, f"target_id={gid}&action={pattern}")
        assert [each["action"] for each in told] == ["project.create"], pattern
    assert await entries(root, f"target_id=*{gid[2:-2]}*&email=ROOT*")
    # Words without a star are exact, and nothing else stands for more than itself.
    for pattern in ("project", "project%25", "project_create*", "Project.create"):
        assert await entries(root, f"target_id={gid}&action={pattern}") == [], pattern


async def test_what_changes_nothing_is_not_noted(as_user: AsUser) -> None:
    root, word = as_user("root"), f"n{uuid.uuid4().hex[:8]}"
    gid = await add_group(root, word)
    for _ in range(2):
        await done(root, MODIFY_GROUP, gid=gid, input={"description": "same"})
    told = [each["action"] for each in await entries(root, f"target_id={gid}")]
    assert told == ["project.modify", "project.create"]


async def test_a_refused_change_leaves_nothing(as_user: AsUser) -> None:
    root, word = as_user("root"), f"n{uuid.uuid4().hex[:8]}"
    gid = await add_group(root, word)
    wrong = {"description": "new", "user_update_mode": "add", "user_uuids": [str(uuid.uuid4())]}
    assert not (await run(root, MODIFY_GROUP, gid=gid, input=wrong))["ok"]
    assert len(await entries(root, f"target_id={gid}")) == 1
    found = await root.graph("query($g: UUID!) { group(id: $g) { description } }", g=gid)
    assert found["data"]["group"]["description"] == ""


async def test_pages_are_newest_first(as_user: AsUser) -> None:
    root, word = as_user("root"), f"n{uuid.uuid4().hex[:8]}"
    gid = await add_group(root, word)
    for index in range(4):
        await done(root, MODIFY_GROUP, gid=gid, input={"description": f"{index}"})
    answer = (await root.ask("GET", f"/audit?target_id={gid}&limit=2&offset=1")).json
    assert answer["total_count"] == 5
    assert [each["after"]["description"] for each in answer["items"]] == ["2", "1"]
    last = answer["items"][0]["at"].replace("+", "%2B")
    assert len(await entries(root, f"target_id={gid}&until={last}")) == 3
    assert len(await entries(root, f"target_id={gid}&since={last}")) == 2


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "offset=-1", "since=yesterday", "until=9", "colour=red", "limit=x"],
)
async def test_bad_filters_are_told(as_user: AsUser, query: str) -> None:
    answer = await as_user("root").ask("GET", f"/audit?{query}")
    assert (answer.status, answer.slug) == (400, "invalid-api-params")
    assert query.partition("=")[0] in answer.json["data"]


async def test_the_log_outlives_who_is_in_it(as_user: AsUser) -> None:
    root, word = as_user("root"), f"n{uuid.uuid4().hex[:8]}"
    email = f"{word}@example.com"
    await done(root, CREATE_USER, email=email, input=new_user(username=word, role="superadmin"))
    boss = await add_key(root, email)
    await done(boss, DELETE_USER, email="patience@example.com")
    purge = "mutation($email: String!) { purge_user(email: $email, props: {}) { ok msg } }"
    await done(root, purge, email=email)
    (entry,) = await entries(root, f"email={email}&target_kind=user")
    assert (entry["action"], entry["target_id"]) == ("user.delete", "patience@example.com")
