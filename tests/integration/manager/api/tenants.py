"""A second tenant of which nobody else may learn or change anything, and how that is noticed."""

import asyncio
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa
import yaml
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import HostPermission
from backendai.common.secretfile import load_secret_key
from backendai.manager.accounts.fixture import check_fixture, load_fixture
from backendai.manager.accounts.secretbox import SecretBox
from backendai.manager.app import Manager
from backendai.manager.db import tables as t
from backendai.manager.db.engine import Database, open_database
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.api.belongings import Snapshot, read_belongings
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.conftest import body_of, make_settings, prepare

# In every name of the tenant; a request that names its things holds it too.
MARK: Final = "7qzx9w"
# In every text of the tenant, which no request holds.
HIDDEN: Final = "h5kvt2"
DOMAIN: Final = f"vault{MARK}"
PROJECT: Final = f"crown{MARK}"
PEOPLE: Final = (("zoe", "user"), ("yuri", "admin"))
FOLDER_HOST: Final = "local:volume1"
RESOURCE_GROUP: Final = f"strongroom{MARK}"

_EXTRA: Final[Mapping[str, Any]] = {
    "domains": [{"name": DOMAIN, "description": f"jewels-{HIDDEN}"}],
    "projects": [
        {
            "name": PROJECT,
            "domain_name": DOMAIN,
            "resource_policy": "default",
            "description": f"sceptre-{HIDDEN}",
        },
        {"name": "pawns", "domain_name": "default", "resource_policy": "default"},
    ],
    "users": [
        {
            "email": f"{name}{MARK}@example.com",
            "username": f"{name}{MARK}",
            "full_name": f"Full Name of {name}-{HIDDEN}",
            "description": f"about {name}-{HIDDEN}",
            "domain_name": DOMAIN,
            "role": role,
            "resource_policy": "default",
            "main_access_key": f"AK{name.upper()}{MARK}",
            "projects": [PROJECT],
        }
        for name, role in PEOPLE
    ]
    + [
        {
            "email": "pawn@example.com",
            "username": "pawn",
            "domain_name": "default",
            "role": "user",
            "resource_policy": "default",
            "main_access_key": "AKPAWN",
            "projects": ["pawns"],
        },
        {
            "email": "pia@example.com",
            "username": "pia",
            "domain_name": "default",
            "role": "user",
            "resource_policy": "default",
            "main_access_key": "AKPIA",
            "administers": ["pawns"],
        },
    ],
    "keypairs": [
        {
            "access_key": f"AK{name.upper()}{MARK}",
            "secret_key": f"secret-of-{name}-{HIDDEN}",
            "user": f"{name}{MARK}@example.com",
            "resource_policy": "default",
            "rate_limit": 100000,
            "bootstrap_script": f"echo {name}-{HIDDEN}",
        }
        for name, _ in PEOPLE
    ]
    + [
        {
            "access_key": "AKPAWN",
            "secret_key": "secret-of-pawn",
            "user": "pawn@example.com",
            "resource_policy": "default",
        },
        {
            "access_key": "AKPIA",
            "secret_key": "secret-of-pia",
            "user": "pia@example.com",
            "resource_policy": "default",
            "rate_limit": 100000,
        },
    ],
    "resource_groups": [
        {"name": RESOURCE_GROUP, "domains": [DOMAIN]},
        {"name": "default", "domains": [DOMAIN]},
    ],
}


@dataclass(frozen=True)
class Target:
    """What requests name: the objects of one person."""

    domain: str
    project: str
    email: str
    access_key: str
    user: str
    session: str
    kernel: str
    session_name: str
    log: str
    template: str
    task: str
    folder: str
    invitation: str
    circuit: str
    path: str = ".target"


@pytest.fixture(scope="module")
def settings(
    module_dir: Path, postgres_dsn: str, redis_url: str, etcd_addr: str
) -> ManagerSettings:
    """As everywhere here, with the closed tenant beside the others."""
    made = make_settings(module_dir, postgres_dsn, redis_url, etcd_addr)
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(prepare(made))
        runner.run(_prepare_tenant(made))
    return made


async def _prepare_tenant(settings: ManagerSettings) -> None:
    database = open_database(settings.db, "test")
    box = SecretBox(load_secret_key(settings.manager.secret_key_file))
    rows = check_fixture(json.loads(json.dumps(_EXTRA)))
    try:
        await database.transact(lambda connection: load_fixture(connection, rows, box))
        async with database.begin() as connection:
            # Folders are refused because of whose they are, not because of their host.
            hosts = {FOLDER_HOST: [*HostPermission]}
            await connection.execute(sa.update(t.domains).values(allowed_vfolder_hosts=hosts))
            # The group is there already, so the fixture left it alone.
            await connection.execute(
                sa.text("insert into resource_group_domains values ('default', :domain)"),
                {"domain": DOMAIN},
            )
    finally:
        await database.close()


def tenants_key(caller: Caller, name: str) -> Caller:
    return caller.but(access_key=f"AK{name.upper()}{MARK}", secret_key=f"secret-of-{name}-{HIDDEN}")


async def furnish(
    manager: Manager, caller: Caller, name: str, *, session: str, project: str = "default"
) -> Target:
    """A waiting session, a circuit, a template, a task, a folder, dotfiles and an error log of
    `caller`, with their names."""
    is_closed = caller.access_key is not None and MARK in caller.access_key
    text = f"text-{HIDDEN if is_closed else 'of-nobody'}"
    asked = body_of(session, enqueueOnly=True, tag=text)
    asked["config"]["environ"] = {"SECRET": text}
    asked |= {"group": PROJECT, "domain": DOMAIN} if is_closed else {"group": project}
    made = await caller.ask("POST", "/session", asked)
    assert made.status == 201, made.body
    log = {"severity": "error", "source": "test", "message": text}
    told = await caller.ask(
        "POST", "/logs/error", {**log, "context_lang": "en", "context_env": "{}"}
    )
    assert told.status == 200, told.body
    file = {"path": ".target", "permission": "644", "data": text}
    await _write(caller, "user", file)
    template = await _write_template(caller, asked, text)
    database = manager.stores.database
    target = await _read_target(database, name, made.json["sessionId"], template, text)
    if is_closed:
        await _mark(database, target)
    return target


async def _write_template(caller: Caller, asked: dict[str, Any], text: str) -> str:
    """The id of a template from which a session like the one asked for would start."""
    payload = {
        "api_version": "6",
        "kind": "taskTemplate",
        "metadata": {"name": text, "tag": text},
        "spec": {"kernel": {"image": asked["image"], "environ": {"SECRET": text}}},
    }
    body = {
        "payload": yaml.safe_dump(payload),
        "group": asked["group"],
        "domain": asked.get("domain", "default"),
    }
    written = await caller.ask("POST", "/template/session", body)
    assert written.status == 200, written.body
    return str(uuid.UUID(written.json[0]["id"]))


async def _read_target(
    database: Database, name: str, session_id: str, template_id: str, text: str
) -> Target:
    statement = sa.text(
        "select s.domain_name, s.project_id, s.access_key, s.user_id, s.name, u.email, k.id, l.id"
        " from sessions s join users u on u.id = s.user_id"
        " join kernels k on k.session_id = s.id join error_logs l on l.user_id = u.id"
        " where s.id = :id and u.username = :name order by l.created_at desc limit 1"
    )
    task = sa.text(
        "insert into tasks (name, user_id, status, message, ended_at)"
        " values ('test', :user, 'done', :text, now()) returning id"
    )
    async with database.begin() as connection:
        found = await connection.execute(statement, {"id": uuid.UUID(session_id), "name": name})
        domain, project, key, user, session_name, email, kernel, log = found.one()
        task_id = await connection.scalar(task, {"user": user, "text": text})
        folder_id = await _make_folder(connection, domain, user, text)
        invitation_id = await _invite(connection, folder_id, user, text)
        circuit_id = await _open_circuit(connection, session_id, kernel, user, key, text)
    return Target(
        domain=domain,
        project=str(project),
        email=email,
        access_key=key,
        user=str(user),
        session=session_id,
        kernel=str(kernel),
        session_name=session_name,
        log=str(log),
        template=template_id,
        task=str(task_id),
        folder=str(folder_id),
        invitation=str(invitation_id),
        circuit=str(circuit_id),
    )


async def _make_folder(
    connection: AsyncConnection, domain: str, user_id: uuid.UUID, text: str
) -> uuid.UUID:
    """A folder of which a test is, anew: the last test may have left it in the bin."""
    await connection.execute(sa.delete(t.vfolders).where(t.vfolders.c.user_id == user_id))
    folder_id = uuid.uuid4()
    values = {
        "id": folder_id,
        "name": text,
        "domain_name": domain,
        "host": FOLDER_HOST,
        "quota_scope_id": f"user:{user_id}",
        "usage_mode": "general",
        "permission": "rw",
        "ownership_type": "user",
        "user_id": user_id,
        "creator": text,
        "cloneable": True,
        "status": "ready",
        "status_changed_at": sa.func.now(),
    }
    await connection.execute(sa.insert(t.vfolders).values(values))
    return folder_id


async def _invite(
    connection: AsyncConnection, folder_id: uuid.UUID, user_id: uuid.UUID, text: str
) -> uuid.UUID:
    """Somebody to that folder, who has not answered."""
    values = {
        "id": uuid.uuid4(),
        "vfolder_id": folder_id,
        "inviter_id": user_id,
        "invitee": f"{text}@example.com",
        "permission": "ro",
    }
    await connection.execute(sa.insert(t.vfolder_invitations).values(values))
    return values["id"]


async def _open_circuit(
    connection: AsyncConnection,
    session_id: str,
    kernel_id: uuid.UUID,
    user_id: uuid.UUID,
    access_key: str,
    text: str,
) -> uuid.UUID:
    """Into an app of the session, as an app proxy makes them."""
    values = {
        "id": uuid.uuid4(),
        "session_id": uuid.UUID(session_id),
        "kernel_id": kernel_id,
        "generation": 1,
        "agent_id": text,
        "app": text,
        "port": 8080,
        "protocol": "http",
        "owner": user_id,
        "access_key": access_key,
        "proxy": text,
        "expires_at": sa.func.now() + sa.text("interval '1 day'"),
    }
    await connection.execute(sa.insert(t.circuits).values(values))
    return values["id"]


async def _mark(database: Database, target: Target) -> None:
    """The hidden word where only the manager itself writes."""
    statements = (
        "update sessions set status_info = :text where id = :session",
        "update kernels set status_info = :text where id = :kernel",
        "update history set reason = :text where session_id = :session",
    )
    ids = {"session": uuid.UUID(target.session), "kernel": uuid.UUID(target.kernel)}
    async with database.begin() as connection:
        for statement in statements:
            words = {word: ids[word] for word in ids if f":{word}" in statement}
            await connection.execute(sa.text(statement), {"text": f"text-{HIDDEN}", **words})


async def furnish_administration(caller: Caller, target: Target) -> None:
    """Dotfiles of the tenant's domain and project, written by its administrator."""
    file = {"path": ".target", "permission": "644", "data": f"shared-{HIDDEN}"}
    for prefix, more in (
        ("domain", {"domain": target.domain}),
        ("group", {"group": target.project}),
    ):
        await _write(caller, prefix, {**file, **more})


async def _write(caller: Caller, prefix: str, file: dict[str, str]) -> None:
    written = await caller.ask("POST", f"/{prefix}-config/dotfiles", file)
    assert written.status == 200 or written.json["code"] == "dotfile.exists", written.body


async def snapshot(database: Database) -> Snapshot:
    """All that belongs to the closed tenant or is shared, to be compared before and after."""
    return await read_belongings(database, DOMAIN)


def words_of(target: Target) -> set[str]:
    """What names the tenant's things, and can only be learnt from it."""
    ids = {target.project, target.user, target.session, target.kernel, target.log}
    folder = {target.folder, uuid.UUID(target.folder).hex, target.invitation, target.circuit}
    return {*ids, *folder, target.template, target.task, MARK, HIDDEN}


def leaks(answer: bytes, asked: str, words: set[str]) -> list[str]:
    """The words of the tenant in an answer beyond those that the question had."""
    text = answer.decode("utf-8", "replace")
    for known in sorted({part for part in _parts(asked) if MARK in part}, key=len, reverse=True):
        text = text.replace(known, "")
    return [word for word in words if word in text and word not in asked] + (
        [MARK] if MARK in text and MARK in asked else []
    )


def _parts(text: str) -> list[str]:
    """The words of a request, as an answer may repeat them."""
    separators = str.maketrans(dict.fromkeys("\"'{}[]()&=?/,:; \\\n%<>|", " "))
    return text.translate(separators).split()
