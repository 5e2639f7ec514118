"""Commands of `backendai mgr` that move data: pairs of etcd, rows of fixtures, the first tables.

They run in this process, since what a new one costs is tested beside this.
"""

import asyncio
import json
import logging
import socket
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from click.testing import CliRunner, Result

from backendai.common.secretfile import write_secret_key
from backendai.common.settings.render import render_toml
from backendai.manager.cli import mgr
from backendai.manager.console import find_operator
from backendai.manager.db.revision import REVISION
from backendai.manager.sessions.render import registry_of
from tests.running.registry import FakeRegistry, serving

INVENTORY = ("api", "inventory", "--output")
Configure = Callable[[], str]


@pytest.fixture
def configure(
    tmp_path: Path, make_database: Callable[[str | None], str], redis_url: str, etcd_addr: str
) -> Configure:
    """Makes an empty database and gives a manager.toml on it, with a namespace of its own."""
    write_secret_key(tmp_path / "secret.key")

    def write() -> str:
        dsn, redis = urlsplit(make_database(None)), urlsplit(redis_url)
        sections: dict[str, dict[str, object]] = {
            "etcd": {"namespace": f"test-{uuid.uuid4().hex[:8]}", "addr": etcd_addr},
            "db": {
                "addr": f"{dsn.hostname}:{dsn.port}",
                "name": dsn.path.lstrip("/"),
                "user": dsn.username,
                "password": dsn.password or "",
            },
            "redis": {"addr": f"{redis.hostname}:{redis.port}", "password": redis.password or ""},
            "manager": {
                "service-addr": "127.0.0.1:0",
                "secret-key-file": str(tmp_path / "secret.key"),
                "config-cache": str(tmp_path / "config.json"),
            },
        }
        file = tmp_path / f"{uuid.uuid4().hex}.toml"
        file.write_text(render_toml(sections))
        file.chmod(0o600)
        return str(file)

    return write


def run(*words: str) -> Result:
    return CliRunner().invoke(mgr, words)


def ok(*words: str) -> str:
    done = run(*words)
    assert done.exit_code == 0, done.output
    return done.stdout


def refusal(*words: str) -> str:
    done = run(*words)
    assert (done.exit_code, done.stdout) == (1, "")
    return done.stderr


def execute(file: str, statement: str) -> None:
    """Past all that checks it."""
    db = tomllib.loads(Path(file).read_text())["db"]
    host, _, port = db["addr"].rpartition(":")

    async def work() -> None:
        connection = await asyncpg.connect(
            host=host, port=int(port), user=db["user"], password=db["password"], database=db["name"]
        )
        await connection.execute(statement)
        await connection.close()

    asyncio.run(work())


def test_json_is_put_and_subtrees_are_moved(configure: Configure, tmp_path: Path) -> None:
    file, source = configure(), tmp_path / "pairs.json"
    source.write_text('{"a": {"": "root", "b": 1, "c": true}, "d": "text"}')
    assert ok("etcd", "put-json", "-f", file, "config/x", str(source)) == "4 put\n"
    listed = ok("-f", file, "etcd", "ls", "--values").splitlines()
    assert [line.removeprefix("config/x/") for line in listed] == [
        "a = root",
        "a/b = 1",
        "a/c = true",
        "d = text",
    ]
    assert ok("etcd", "move-subtree", "-f", file, "config/x/a", "config/y") == "3 moved\n"
    moved = ["config/x/d", "config/y", "config/y/b", "config/y/c"]
    assert ok("-f", file, "etcd", "ls").split() == moved
    move = ("-f", file, "etcd", "move-subtree")
    assert "there is no config/x/a" in refusal(*move, "config/x/a", "config/z")
    assert "parts of each other" in refusal(*move, "config/y", "config/y/b")
    ok("-f", file, "etcd", "put", "config/z/b", "other")
    assert "config/z/b; delete it first" in refusal(*move, "config/y", "config/z")
    for wrong in ("[1]", "{", '{"a": null}'):
        source.write_text(wrong)
        assert refusal("-f", file, "etcd", "put-json", "config/x", str(source))
    assert len(ok("-f", file, "etcd", "ls").split()) == 5


def test_a_database_is_made_at_one_go_but_not_upgraded(configure: Configure) -> None:
    file = configure()
    assert ok("schema", "oneshot", "-f", file) == f"made {REVISION}\n"
    assert ok("schema", "oneshot", "-f", file) == "up to date\n"
    # As an older release left it.
    execute(file, "UPDATE alembic_version SET version_num = '0001'")
    told = refusal("schema", "oneshot", "-f", file)
    assert f"is at revision 0001, this release needs {REVISION}" in told
    assert "backendai mgr schema upgrade" in told
    # As a later release left it, whose tables serve this one; then as one whose tables do not.
    execute(file, "UPDATE alembic_version SET version_num = '9999'")
    assert ok("schema", "oneshot", "-f", file) == "up to date\n"
    execute(file, "COMMENT ON TABLE alembic_version IS NULL")
    assert "install the release that the database is of" in refusal("schema", "oneshot", "-f", file)


FIXTURE = {
    "keypair_policies": [
        {"name": "none", "max_concurrent_sessions": 0, "total_resource_slots": {"cpu": "1"}}
    ],
    "user_policies": [{"name": "default"}],
    "project_policies": [{"name": "default"}],
    "resource_presets": [{"name": "s", "resource_slots": {"mem": "1g"}, "shared_memory": "64m"}],
    "domains": [{"name": "a"}, {"name": "b"}],
    "projects": [{"name": "p", "domain_name": each, "resource_policy": "default"} for each in "ab"],
    "users": [
        {
            "email": "ann@example.com",
            "username": "ann",
            "domain_name": "b",
            "resource_policy": "default",
            "password": "a long secret",
            "main_access_key": "AKANN",
            "projects": ["p"],
            "allowed_client_ip": ["10.0.0.0/8"],
        }
    ],
    "keypairs": [
        {
            "access_key": "AKANN",
            "secret_key": "the secret key",
            "user": "ann@example.com",
            "resource_policy": "none",
        }
    ],
    "resource_groups": [
        {
            "name": "g",
            "wsproxy_api_token": "the token",
            "domains": ["a"],
            "projects": ["b/p"],
            "keypairs": ["AKANN"],
        }
    ],
    "images": [{"name": "i:1", "architecture": "x86_64", "aliases": ["one", "two"]}],
}


def test_a_dump_fills_another_database_with_the_same_rows(
    configure: Configure, tmp_path: Path
) -> None:
    first, second = configure(), configure()
    for file in (first, second):
        ok("schema", "oneshot", "-f", file)
    rows, whole = tmp_path / "rows.json", tmp_path / "whole.json"
    rows.write_text(json.dumps(FIXTURE))
    ok("fixture", "populate", "-f", first, str(rows))

    plain = ok("fixture", "dump", "-f", first)
    for secret in ("the secret key", "the token", "password_hash", "AKANN"):
        assert secret not in plain
    assert json.loads(plain)["resource_groups"][0]["projects"] == ["b/p"]
    assert "--out" in run("fixture", "dump", "-f", first, "--with-secrets").stderr

    ok("fixture", "dump", "-f", first, "--with-secrets", "--out", str(whole))
    assert whole.stat().st_mode & 0o777 == 0o600
    made = json.loads(whole.read_text())
    assert made["keypairs"][0]["secret_key"] == "the secret key"
    assert made["resource_groups"][0]["keypairs"] == ["AKANN"]
    assert "File exists" in refusal("fixture", "dump", "-f", first, "--out", str(whole))
    assert "keypairs: 1 added" in ok("fixture", "populate", "-f", second, str(whole))
    again = tmp_path / "again.json"
    ok("fixture", "dump", "-f", second, "--with-secrets", "--out", str(again))
    assert again.read_text() == whole.read_text()


def test_keys_and_the_inventory_need_nothing_that_runs() -> None:
    access, secret = ok("generate-keypair").splitlines()
    assert access.startswith("access key: AK")
    assert len(secret) > len("secret key: ") + 30
    rows = {(row["kind"], row["name"]): row for row in json.loads(ok(*INVENTORY, "json"))}
    assert rows["POST", "/session"]["begins"]
    assert rows["Mutation", "purge_user"]["access"] == "superadmin"
    assert rows["Query", "user"]["action"] == "user.read"
    (line,) = [line for line in ok(*INVENTORY[:2]).splitlines() if "purge_user" in line]
    assert line.split() == ["Mutation", "purge_user", "user.purge", "superadmin", "writes"]


@pytest.fixture
def logs_kept() -> Iterator[None]:
    """Commands that change things log where the manager does; later tests do not."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def file(configure: Configure) -> str:
    """A manager.toml on a database with all tables and nothing in them."""
    made = configure()
    ok("schema", "oneshot", "-f", made)
    return made


@pytest.mark.usefixtures("logs_kept")
async def test_images_are_found_listed_and_named(file: str) -> None:
    scan = ("-f", file, "image", "rescan")
    async with serving(FakeRegistry()) as registry:
        registry.put("stable/python", "3.11", "amd64")
        host, name = registry.host, f"{registry.host}/stable/python:3.11"
        columns = "container_registries (hostname, url, type)"
        row = f"('{host}', 'http://{host}', 'docker')"
        await asyncio.to_thread(execute, file, f"INSERT INTO {columns} VALUES {row}")
        told = await asyncio.to_thread(ok, *scan, host, "--project", "stable")
        assert told == "1 images found, 1 of them new.\n"
        assert await asyncio.to_thread(ok, *scan) == "1 images found, 0 of them new.\n"
        told = await asyncio.to_thread(refusal, *scan, "nowhere")
        assert f"there is no 'nowhere'; there are: {host}, local" in told
    assert "0 images found, 0 of them new. 1 failed" in await asyncio.to_thread(refusal, *scan)
    await asyncio.to_thread(check_names, file, name)


def check_names(file: str, name: str) -> None:
    ok("-f", file, "image", "alias", "py", name)
    assert "already exists" in refusal("-f", file, "image", "alias", "py", name)
    assert "no image is known yet: a node has to have one" in refusal(
        "-f", file, "image", "alias", "--arch", "aarch64", "arm", name
    )
    (listed,) = json.loads(ok("image", "list", "-f", file, "--output", "json"))
    assert (listed["image"], listed["aliases"], listed["nodes"]) == (name, ["py"], [])
    head, line = ok("image", "list", "-f", file).splitlines()
    assert head.split() == ["IMAGE", "ARCHITECTURE", "SIZE", "ALIASES", "NODES"]
    assert line.split()[:2] == [name, "x86_64"]
    ok("-f", file, "image", "dealias", "py")
    assert "No such image alias" in refusal("-f", file, "image", "dealias", "py")

    entries = json.loads(ok("audit", "list", "-f", file, "--output", "json"))["items"]
    assert [(each["action"], each["target_kind"], each["target_id"]) for each in entries] == [
        ("image.dealias", "image_alias", "py"),
        ("image.alias", "image_alias", "py"),
        ("image.rescan", "container_registry", "*"),
        ("image.rescan", "container_registry", "*"),
        ("image.rescan", "container_registry", registry_of(name)),
    ]
    who = {(each["email"], each["access_key"]) for each in entries}
    assert who == {(f"local:{find_operator()}", "")}


def examined(file: str) -> tuple[int, dict[str, tuple[str, str, str]]]:
    done = run("-f", file, "doctor", "--output", "json")
    found = json.loads(done.stdout)
    told = {each["name"]: (each["verdict"], each["told"], each["fix"]) for each in found}
    return done.exit_code, told


def test_what_a_manager_needs_is_there_before_it_starts(file: str) -> None:
    code, found = examined(file)
    assert code == 0, found
    advice = {name for name, (verdict, _, _) in found.items() if verdict == "advice"}
    assert advice == {"RPC keypair", "etcd", "agents"}, "nothing has registered yet"
    assert {verdict for verdict, _, _ in found.values()} == {"ok", "advice"}
    lines = run("-f", file, "doctor").stdout.splitlines()
    assert lines[0].split()[:2] == ["✓", "settings"]
    assert len(lines) == len(found) + len(advice), "a fix below each"


def test_each_thing_that_is_wrong_has_a_fix(
    configure: Configure, file: str, tmp_path: Path
) -> None:
    empty = configure()
    code, found = examined(empty)
    assert (code, found["schema"][0]) == (1, "failed")
    assert "backendai mgr schema upgrade" in found["schema"][2]
    assert found["drift"] == ("skipped", "the schema first", "")

    (tmp_path / "rows.json").write_text(json.dumps(FIXTURE))
    ok("fixture", "populate", "-f", file, str(tmp_path / "rows.json"))
    write_secret_key(tmp_path / "other.key")
    with socket.create_server(("127.0.0.1", 0)) as server:
        away = f"127.0.0.1:{server.getsockname()[1]}"
    sections = tomllib.loads(Path(file).read_text())
    # What answers there is Valkey.
    sections["manager"]["service-addr"] = sections["redis"]["addr"]
    sections["manager"]["secret-key-file"] = str(tmp_path / "other.key")
    sections["redis"]["addr"] = sections["etcd"]["addr"] = away
    changed = tmp_path / "changed.toml"
    changed.write_text(render_toml(sections))
    changed.chmod(0o620)
    code, found = examined(str(changed))
    assert code == 1
    wrong = {name: fix for name, (verdict, _, fix) in found.items() if verdict == "failed"}
    assert wrong.keys() == {"settings", "sealed secrets", "port", "etcd", "Redis"}
    assert all(wrong.values())
    assert "1 secrets in the database were sealed with another key" in found["sealed secrets"][1]

    sections["db"]["addr"] = away
    changed.write_text(render_toml(sections))
    _, found = examined(str(changed))
    assert f"PostgreSQL at {away} cannot be used" in found["PostgreSQL"][1]
    assert found["PostgreSQL"][2] == "start it, or mend [db] addr"
    assert found["schema"][0] == "skipped"

    changed.write_text("[manager]\nservice-addr = 5\nnothing = 1\n")
    code, found = examined(str(changed))
    assert (code, [*found]) == (1, ["settings"])
    assert "nothing: is unknown" in found["settings"][1]
