"""What cannot be asked for: each gets one clear refusal, never a 500, and makes nothing."""

import gzip
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.conftest import body_of
from tests.integration.manager.api.scripted import ScriptedAgent


async def test_no_credential(nobody: Caller) -> None:
    assert (await nobody.ask("POST", "/session", {})).status == 401


async def test_wrong_signature(alice: Caller) -> None:
    assert (await alice.but(secret_key="x").ask("POST", "/session", {})).status == 401


async def test_expired_date(alice: Caller) -> None:
    late = alice.but(shift=timedelta(hours=-1))
    assert (await late.ask("POST", "/session", {})).status == 400


async def test_sessions_of_others_cannot_be_depended_on(
    alice: Caller, bob: Caller, name: str
) -> None:
    made = await alice.ask("POST", "/session", body_of(name, enqueueOnly=True))
    body = body_of(f"{name}-b", dependencies=[made.json["sessionId"]])
    assert (await bob.ask("POST", "/session", body)).status == 404
    await alice.ask("DELETE", f"/session/{name}")


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        b'"text"',
        b"{",
        b'{"name": NaN}',
        b'{"name": 1e999}',
        b'{"name": "a", "name": "b"}',
        b'{"name": "\\ud800", "image": "x"}',
        b'{"name": "a\\u0000b", "image": "x"}',
        b'\xef\xbb\xbf{"name": "abcd"}',
        b'{"name": "\xff"}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
)
async def test_bodies_that_make_no_sense(alice: Caller, raw: bytes) -> None:
    answer = await alice.ask("POST", "/session", raw=raw)
    assert answer.status == 400
    assert answer.slug in ("generic-bad-request", "invalid-api-params")


@pytest.mark.parametrize("path", ["", "/why", "/dependency-graph", "/files"])
async def test_no_path_holds_nul(alice: Caller, path: str) -> None:
    answer = await alice.ask("GET", f"/session/%00{path}")
    assert (answer.status, answer.slug) == (400, "generic-bad-request")


async def test_a_body_that_is_not_encoded_as_it_says(alice: Caller) -> None:
    for raw, status in ((gzip.compress(b'{"echo": "x"}'), 200), (b"\x1f\x8b no gzip", 400)):
        answer = await alice.ask("POST", "/auth", raw=raw, headers={"Content-Encoding": "gzip"})
        assert answer.status == status, answer.body
    assert answer.slug == "generic-bad-request"


async def test_uploads_read_both_spellings_of_the_owner(alice: Caller, name: str) -> None:
    for query in ("owner_access_key=AKBOB", "ownerAccessKey=AKBOB"):
        answer = await alice.ask("POST", f"/session/{name}/upload?{query}")
        assert answer.status == 403
    answer = await alice.ask("POST", f"/session/{name}/upload?owner_access_key=%00")
    assert answer.status == 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", None),
        ("name", "-rf"),
        ("name", ".."),
        ("name", "a" * 65),
        ("name", "a\nb"),
        ("name", "naïve"),
        ("name", "a" * 65536),
        ("name", ["a"]),
        ("image", ""),
        ("image", "../../etc"),
        ("image", 5),
        ("type", "daemon"),
        ("clusterSize", 0),
        ("clusterSize", -1),
        ("clusterSize", 10**30),
        ("clusterSize", "many"),
        ("clusterMode", "mesh"),
        ("enqueueOnly", "maybe"),
        ("maxWaitSeconds", -1),
        ("starts_at", "1h"),
        ("dependencies", "x"),
        ("callback_url", "file:///etc/passwd"),
        ("callback_url", "gopher://x"),
        ("role", "superadmin"),
        ("status", "RUNNING"),
        ("domain_name", 7),
    ],
)
async def test_fields_are_checked(alice: Caller, name: str, field: str, value: Any) -> None:
    answer = await alice.ask("POST", "/session", {**body_of(name), field: value})
    assert (answer.status, answer.slug) == (400, "invalid-api-params"), answer.body
    assert answer.json["data"]


@pytest.mark.parametrize(
    "config",
    [
        {"environ": {"A=B": "x"}},
        {"environ": {"": "x"}},
        {"environ": {"LD_PRELOAD": "/x.so"}},
        {"environ": {"A": "x" * 200_000}},
        {"environ": {"A": 5}},
        {"preopen_ports": [80]},
        {"preopen_ports": ["70000"]},
        {"preopen_ports": [2000, "2000"]},
        {"preopen_ports": ["2000; rm"]},
        {"resources": {"cpu": "-1"}},
        {"resources": {"cpu": "0"}},
        {"resources": {"cpu": "1e30"}},
        {"resources": {"cpu": "9" * 40}},
        {"resources": {"cpu": "inf"}},
        {"resources": {"cpu": True}},
        {"resources": {"mem": "8e"}},
        {"resources": {"mem": "0x10"}},
        {"resources": {"mem": "1.5.5g"}},
        {"resources": {"mem": "1k"}},
        {"resources": {"plutonium": "1"}},
        {"resources": {"CPU": "1"}},
        {"resource_opts": {"shmem": "1g"}},
        {"resource_opts": {"shmem": "-1"}},
        {"resource_opts": {"shmem": "0"}},
        {"unknown": 1},
    ],
)
async def test_configurations_are_checked(alice: Caller, name: str, config: dict[str, Any]) -> None:
    answer = await alice.ask("POST", "/session", body_of(name, config=config))
    assert (answer.status, answer.slug) == (400, "invalid-api-params"), answer.body
    assert all(key.startswith("config") for key in answer.json["data"])
    assert (await alice.ask("GET", f"/session/{name}")).status == 404


async def test_every_fault_is_told_at_once(alice: Caller, name: str) -> None:
    body = {**body_of(name, config={"preopen_ports": [1]}), "clusterSize": 0, "type": "x"}
    facts = (await alice.ask("POST", "/session", body)).json["data"]
    assert facts.keys() == {"clusterSize", "type", "config.preopen_ports"}


async def test_a_batch_needs_its_command(alice: Caller, name: str) -> None:
    facts = (await alice.ask("POST", "/session", body_of(name, type="batch"))).json["data"]
    assert "startupCommand" in facts


async def test_an_image_unlike_all_others_names_what_there_is(alice: Caller, name: str) -> None:
    answer = await alice.ask("POST", "/session", body_of(name, image="zzz:9"))
    assert answer.status == 404
    assert "'zzz:9' for x86_64 is not known; there are " in answer.json["msg"]
    assert "python" in answer.json["msg"]


async def test_who_is_in_no_such_project_learns_who_lets_people_in(
    alice: Caller, name: str
) -> None:
    answer = await alice.ask("POST", "/session", body_of(name, group="nosuch"))
    assert answer.status == 404
    assert "`backendai admin user update EMAIL --project NAME`" in answer.json["msg"]


async def test_an_unknown_image_names_near_ones(alice: Caller, name: str) -> None:
    answer = await alice.ask("POST", "/session", body_of(name, image="pyton:3.11"))
    assert (answer.status, answer.json["title"]) == (404, "No such environment image.")
    assert answer.json["data"]["near"] == ["python:3.11"]
    other = await alice.ask("POST", "/session", body_of(name, architecture="aarch64"))
    assert other.status == 404


async def test_projects_groups_and_folders_must_be_ones_own(alice: Caller, name: str) -> None:
    for more in (
        {"group": "secret"},
        {"domain": "other"},
        {"config": {"scalingGroup": "gpu"}},
        {"config": {"mounts": ["data"]}},
    ):
        answer = await alice.ask("POST", "/session", body_of(name, **more))
        assert (answer.status, answer.slug) == (404, "object-not-found"), answer.body


async def test_only_superadmins_choose_agents(
    alice: Caller, as_user: Callable[[str], Caller], name: str
) -> None:
    body = body_of(name, config={"agentList": ["i-1"]}, enqueueOnly=True)
    answer = await alice.ask("POST", "/session", body)
    assert (answer.status, answer.slug) == (403, "insufficient-privilege")
    assert (await as_user("root").ask("POST", "/session", body)).status == 201
    await as_user("root").ask("DELETE", f"/session/{name}")


async def test_what_no_policy_allows_is_refused(
    as_user: Callable[[str], Caller], name: str
) -> None:
    tiny = as_user("tiny")
    much = await tiny.ask("POST", "/session", body_of(name, config={"resources": {"cpu": "3"}}))
    assert (much.status, much.slug) == (412, "quota-exceeded")
    assert much.json["data"]["keypair.cpu"] == "asked 3, limit 2"
    wide = await tiny.ask("POST", "/session", body_of(name, clusterSize=2))
    assert (wide.status, wide.slug) == (412, "quota-exceeded")


async def test_what_no_node_has_is_refused(alice: Caller, agent: ScriptedAgent, name: str) -> None:
    body = body_of(name, config={"resources": {"cpu": "64"}})
    answer = await alice.ask("POST", "/session", body)
    assert (answer.status, answer.slug) == (400, "invalid-api-params")
    assert "the largest node has 8" in answer.json["data"]["config.resources.cpu"]


async def test_clients_write_many_spellings(alice: Caller, name: str) -> None:
    body = {
        "session_name": name,
        "lang": "py",
        "arch": "x86_64",
        "sessionType": "interactive",
        "groupName": "default",
        "domainName": "default",
        "cluster_size": 1,
        "cluster_mode": "single-node",
        "enqueueOnly": True,
        "dependencies": None,
        "starts_at": None,
        "batch_timeout": None,
        "config": {
            "mounts": None,
            "mountMap": None,
            "mount_options": {},
            "environ": None,
            "resources": None,
            "resourceOpts": None,
            "scaling_group": None,
            "preopenPorts": ["10001", 10002],
            "attach_network": None,
        },
    }
    answer = await alice.ask("POST", "/session/_/create", body)
    assert answer.status == 201, answer.body
    await alice.ask("DELETE", f"/session/{name}")
