"""Nodes are given the login of an image's registry, and no other one."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from backendai.common.contracts.agent import KernelState, RegistryLogin
from backendai.common.enums import Reason
from backendai.manager.app import Manager
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.conftest import body_of
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.strangers import refuse_strangers
from tests.integration.manager.api.test_images import CREATE_REGISTRY, DELETE_REGISTRY
from tests.integration.manager.api.test_images import MODIFY_REGISTRY as MODIFY
from tests.integration.manager.world import fetch

Create = Callable[..., Awaitable[dict[str, Any]]]
HOST = "cr.private.example.com"
IMAGE = f"{HOST}/team/tool:1"
PROPS = {"url": f"https://{HOST}", "type": "docker", "username": "robot", "password": "swordfish"}


@pytest.fixture
async def private(as_user: Callable[[str], Caller], manager: Manager) -> Caller:
    """A superadmin, who has made a registry known, and an image of it."""
    root = as_user("root")
    answer = await root.graph(CREATE_REGISTRY, hostname=HOST, props=PROPS)
    if "errors" in answer:
        answer = await root.graph(MODIFY, hostname=HOST, props=PROPS)
    assert "errors" not in answer, answer
    await fetch(
        manager.stores.database,
        "insert into images (id, name, architecture, registry) values"
        " (gen_random_uuid(), :name, 'x86_64', :registry)"
        " on conflict do nothing returning 1",
        name=IMAGE,
        registry=HOST,
    )
    return root


async def test_the_login_goes_with_the_images_of_its_registry_alone(
    private: Caller, alice: Caller, agent: ScriptedAgent, create: Create, name: str
) -> None:
    logins = []
    for number, image in enumerate((IMAGE, "cr.example.com/stable/shell:1.0", "python:3.11")):
        await create(alice, f"{name}-{number}", image=image)
        logins.append(agent.asked_of("ensure")[-1].login)
    own = RegistryLogin(hostname=HOST, username="robot", password="swordfish")
    assert logins == [own, None, None]
    assert "swordfish" not in repr(agent.asked)
    for caller in (alice, private):
        shown = await caller.ask("GET", f"/session/{name}-0")
        assert b"swordfish" not in shown.body

    await private.graph(MODIFY, hostname=HOST, props={"password": "mended"})
    await create(alice, f"{name}-again", image=IMAGE)
    assert agent.asked_of("ensure")[-1].login.password == "mended"
    await private.graph(DELETE_REGISTRY, hostname=HOST)
    await create(alice, f"{name}-unknown", image=IMAGE)
    assert agent.asked_of("ensure")[-1].login is None


async def test_a_refused_login_is_why_the_session_failed(
    private: Caller, alice: Caller, agent: ScriptedAgent, name: str
) -> None:
    agent.holds = True
    body = body_of(name, image=IMAGE, enqueueOnly=True)
    session_id = (await alice.ask("POST", "/session", body)).json["sessionId"]

    async def is_ordered() -> bool:
        return any(one.session_id == session_id for one in agent.kernels.values())

    await until(is_ordered)
    (kernel,) = [one for one in agent.kernels.values() if one.session_id == session_id]
    # A node that was restarted has lost the login.
    count = len(agent.asked_of("ensure"))
    agent.change(kernel.kernel_id, state=KernelState.UNKNOWN, asks_again=True)

    async def is_asked_again() -> bool:
        return len(agent.asked_of("ensure")) > count

    await until(is_asked_again)
    assert agent.asked_of("ensure")[-1].login is not None
    agent.change(
        kernel.kernel_id,
        state=KernelState.FAILED,
        asks_again=False,
        reason=Reason.REGISTRY_LOGIN_REFUSED.value,
        detail=f"{IMAGE}: unauthorized",
    )

    async def has_failed() -> bool:
        found = (await alice.ask("GET", f"/session/{session_id}")).json
        return bool(found["statusInfo"] == "registry-login-refused")

    await until(has_failed)
    found = (await alice.ask("GET", f"/session/{session_id}")).json
    assert "unauthorized" in json.dumps(found["statusData"])


async def test_newer_clients_change_a_registry(
    private: Caller, alice: Caller, as_user: Callable[[str], Caller], manager: Manager
) -> None:
    ask = ("PATCH", f"/container-registries/{HOST}", {"username": "robot2"})
    await refuse_strangers(alice, ask)
    for other in (alice, as_user("carol"), as_user("mallory")):
        assert (await other.ask(*ask)).status in (401, 403)
    unknown = await private.ask("PATCH", "/container-registries/nowhere.example.com", {"url": None})
    assert unknown.status == 404
    for wrong in (
        {"url": "ftp://x"},
        {"type": "floppy"},
        {"registry_name": "another.example.com"},
        {"is_global": False},
        {"project": "Not One"},
        {"allowed_groups": {"add": ["x"]}},
    ):
        answer = await private.ask("PATCH", ask[1], wrong)
        assert (answer.status, answer.slug) == (400, "invalid-api-params"), wrong
        assert next(iter(wrong)) in answer.json["data"], answer.json
    body = {
        "id": None,
        "url": f"http://{HOST}",
        "registry_name": HOST,
        "type": "harbor2",
        "project": "team",
        "username": "robot2",
        "password": "minnow",
        "ssl_verify": False,
        "is_global": None,
        "extra": None,
        "allowed_groups": None,
    }
    answer = await private.ask("PATCH", ask[1], body)
    assert answer.status == 200, answer.body
    wanted = {"url": f"http://{HOST}", "type": "harbor2", "project": "team", "ssl_verify": False}
    wanted |= {"id": HOST, "username": "robot2", "password": "*****", "projects": ["team"]}
    assert wanted.items() <= answer.json.items()
    login = await manager.stores.core.find_login(IMAGE)
    assert login == RegistryLogin(hostname=HOST, username="robot2", password="minnow")
    emptied = await private.ask("PATCH", ask[1], {"project": "", "password": ""})
    assert (emptied.json["projects"], emptied.json["password"]) == ([], None)
