"""`backendai mgr …` as an operator types it: what it does, and the one line when it cannot."""

import asyncio
import json
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from backendai.common.ids import SystemIds
from backendai.common.relay_secrets import read_secrets
from backendai.common.secretfile import load_secret_key, write_secret_key
from backendai.common.settings.render import render_toml
from backendai.manager.lifecycle.postgres import PostgresStore
from backendai.manager.sched.plan import plan
from tests.integration.manager.world import Wish, add_agent, enqueue, fetch, open_world

COMMAND = Path(sys.executable).with_name("backendai")
Configure = Callable[..., Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mgr")
    write_secret_key(path / "secret.key")
    return path


@pytest.fixture
def configure(folder: Path, postgres_dsn: str, redis_url: str, etcd_addr: str) -> Configure:
    """Writes a manager.toml on the shared stores, but for what is given."""
    db, redis = urlsplit(postgres_dsn), urlsplit(redis_url)

    def write(**changes: dict[str, object]) -> Path:
        sections: dict[str, dict[str, object]] = {
            "etcd": {"namespace": f"test-{uuid.uuid4().hex[:8]}", "addr": etcd_addr},
            "db": {
                "addr": f"{db.hostname}:{db.port}",
                "name": db.path.lstrip("/"),
                "user": db.username,
                "password": db.password or "",
            },
            "redis": {"addr": f"{redis.hostname}:{redis.port}", "password": redis.password or ""},
            "manager": {
                "service-addr": f"127.0.0.1:{free_port()}",
                "secret-key-file": str(folder / "secret.key"),
                "config-cache": str(folder / "config.json"),
            },
            "relay": {},
            "logging": {"level": "INFO"},
        }
        file = folder / f"{uuid.uuid4().hex}.toml"
        file.write_text(
            render_toml({key: {**made, **changes.get(key, {})} for key, made in sections.items()})
        )
        file.chmod(0o600)
        return file

    return write


def mgr(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), "mgr", *words], capture_output=True, text=True, check=False, timeout=60
    )


def ok(*words: str) -> str:
    done = mgr(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(*words: str) -> str:
    """The line that a command ends with; there must be no trace, and nothing but logs before."""
    done = mgr(*words)
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr, done.stderr
    *_, last = done.stderr.strip().splitlines()
    assert last.startswith("Error: "), done.stderr
    return last.removeprefix("Error: ")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def test_keys_of_etcd_are_put_listed_and_deleted(configure: Configure) -> None:
    file = str(configure())
    ok("-f", file, "etcd", "put", "config/announcement", "Back at noon")
    ok("etcd", "put", "-f", file, "config/other", "")
    assert ok("-f", file, "etcd", "get", "config/announcement") == "Back at noon\n"
    assert ok("-f", file, "etcd", "ls").split() == ["config/announcement", "config/other"]
    assert ok("-f", file, "etcd", "ls", "config/a", "--values") == (
        "config/announcement = Back at noon\n"
    )
    assert ok("-f", file, "etcd", "delete", "config/other") == "1 deleted\n"
    assert ok("-f", file, "etcd", "delete", "--prefix", "config/") == "1 deleted\n"
    assert ok("-f", file, "etcd", "ls") == ""
    assert "there is no config/announcement" in refusal(
        "-f", file, "etcd", "get", "config/announcement"
    )
    assert "there is no config/" in refusal("-f", file, "etcd", "delete", "--prefix", "config/")


@pytest.mark.parametrize("key", ["", "/config/x"])
def test_a_key_outside_the_namespace_is_refused(configure: Configure, key: str) -> None:
    done = mgr("-f", str(configure()), "etcd", "delete", "--prefix", key)
    assert done.returncode == 2
    assert "below the namespace" in done.stderr


def test_an_etcd_that_is_away_is_told(configure: Configure) -> None:
    port = free_port()
    file = configure(etcd={"addr": f"127.0.0.1:{port}"})
    told = refusal("-f", str(file), "etcd", "ls")
    assert f"127.0.0.1:{port}" in told
    assert "[etcd] addr" in told


def test_a_start_before_the_tables_names_the_command(configure: Configure) -> None:
    assert "backendai mgr schema upgrade" in refusal("-f", str(configure()), "start-server")


def test_a_start_without_postgres_names_the_setting(configure: Configure) -> None:
    file = configure(db={"addr": f"127.0.0.1:{free_port()}"})
    told = refusal("-f", str(file), "start-server")
    assert "start it, or mend [db] addr" in told


def test_a_start_on_a_taken_port_names_it(
    configure: Configure, make_database: Callable[[str | None], str]
) -> None:
    name = urlsplit(make_database(None)).path.lstrip("/")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        file = configure(db={"name": name}, manager={"service-addr": address})
        assert "ran 0001, 0002, 0003, 0004" in ok("-f", str(file), "schema", "upgrade")
        assert ok("-f", str(file), "schema", "upgrade") == "up to date\n"
        told = refusal("-f", str(file), "start-server")
    assert address in told
    assert "[manager] service-addr" in told


def test_a_file_that_is_no_toml_is_told(tmp_path: Path) -> None:
    file = tmp_path / "manager.toml"
    file.write_text("[manager\n")
    assert f"{file} is not TOML" in refusal("-f", str(file), "start-server")
    assert "cannot read" in refusal("-f", str(tmp_path / "nosuch.toml"), "start-server")


def test_an_upgrade_of_a_database_that_is_not_there_says_what_to_do(configure: Configure) -> None:
    file = configure(db={"name": "nosuch_database"})
    assert "[db] name" in refusal("-f", str(file), "schema", "upgrade")
    verbose = mgr("--verbose", "-f", str(file), "schema", "upgrade")
    assert "Traceback" in verbose.stderr


def test_an_upgrade_over_foreign_tables_says_what_to_do(
    configure: Configure, make_database: Callable[[str | None], str]
) -> None:
    dsn = make_database(None)
    file = configure(db={"name": urlsplit(dsn).path.lstrip("/")})

    async def occupy() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute("create table domains (a int)")
        await connection.close()

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(occupy())
    told = refusal("-f", str(file), "schema", "upgrade")
    assert 'relation "domains" already exists' in told
    assert "use an empty one" in told


@pytest.fixture
def site_file(
    configure: Configure, folder: Path, make_database: Callable[[str | None], str], world_dsn: str
) -> str:
    """A manager.toml on a database of its own, with a node that has been silent for an hour."""
    dsn = make_database(world_dsn)
    name = urlsplit(dsn).path.lstrip("/")
    file = str(configure(db={"name": name}, logging={"file": str(folder / f"{name}.log")}))

    async def fill() -> None:
        database = open_world(dsn)
        await add_agent(database, "n1", {"cpu": "4", "mem": "8589934592"}, halted="6 of 6 stops")
        await enqueue(database, Wish(name="held"))
        store = PostgresStore(database, SystemIds())
        found = plan(await store.load_view(), datetime.now(UTC)).placements()
        await store.place(list(found), datetime.now(UTC))
        await fetch(
            database,
            "UPDATE agents SET status = 'LOST', last_seen_at = now() - interval '1 h' RETURNING 1",
        )
        await database.close()

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(fill())
    return file


def test_nodes_are_listed_for_people_and_programs(site_file: str) -> None:
    head, line = ok("-f", site_file, "agent", "list").splitlines()
    assert head.split()[:3] == ["ID", "STATUS", "SCHEDULABLE"]
    for cell in ("n1", "LOST", "60 min ago", "cpu 1/4, mem 1g/8g", "n1:6001", "halted: 6 of 6"):
        assert cell in line
    (told,) = json.loads(ok("-f", site_file, "agent", "list", "--output", "json"))
    assert (told["id"], told["status"], told["schedulable"]) == ("n1", "LOST", True)
    assert told["halted"] == "6 of 6 stops"
    assert (told["used_slots"], told["kernels"]) == ({"cpu": "1", "mem": "1073741824"}, 1)
    assert told["total_slots"] == {"cpu": "4", "mem": "8589934592"}
    assert told["silent_seconds"] >= 3600


def test_a_fence_tells_what_ends_and_asks(site_file: str, folder: Path) -> None:
    asked = mgr("-f", site_file, "agent", "fence", "n1")
    assert asked.returncode
    assert "would end 1 kernels of 1 sessions on n1" in asked.stderr
    assert "SCHEDULED -> TERMINATED" in asked.stderr
    assert "LOST" in ok("-f", site_file, "agent", "list"), "nobody said yes"

    assert "n1 is fenced" in ok("-f", site_file, "agent", "fence", "n1", "--yes")
    settings = Path(site_file).read_text()
    (log,) = (file.read_text() for file in folder.glob("*.log") if str(file) in settings)
    assert "agent.fenced" in log
    assert "by=" in log or '"by"' in log
    again = json.loads(ok("-f", site_file, "agent", "fence", "n1", "--yes", "--output", "json"))
    assert again == {"id": "n1", "was": "TERMINATED", "kernels": 0, "sessions": []}

    told = ok("-f", site_file, "agent", "resume", "n1")
    assert "may get new sessions" in told
    assert "6 of 6 stops" in told
    assert "SUSPECT" in ok("-f", site_file, "agent", "list")
    assert "gets no new sessions" in ok("-f", site_file, "agent", "pause", "n1")
    assert "paused already" in ok("-f", site_file, "agent", "pause", "n1")


def test_a_fence_of_a_node_that_is_not_there_names_those_that_are(site_file: str) -> None:
    done = mgr("-f", site_file, "agent", "fence", "n9", "--yes")
    assert done.returncode == 1
    assert "No such agent instance. n9" in done.stderr
    assert "known: n1" in done.stderr


def test_history_is_cleared_once_somebody_says_yes(
    configure: Configure, make_database: Callable[[str | None], str], world_dsn: str
) -> None:
    dsn = make_database(world_dsn)
    file = str(configure(db={"name": urlsplit(dsn).path.lstrip("/")}))

    async def fill() -> None:
        database = open_world(dsn)
        for name in ("old", "new"):
            await enqueue(database, Wish(name=name))
        words = "UPDATE {} SET status = 'CANCELLED', ended_at = now() - interval '{} d' {}"
        for days, where in ((1, ""), (70, "WHERE name = 'old'")):
            await fetch(database, words.format("sessions", days, where) + " RETURNING 1")
        await database.close()

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(fill())
    command = ("clear-history", "-f", file, "--retention")
    assert "no session ended before" in ok(*command, "3mo")
    dry = mgr(*command, "2mo", "--dry-run")
    assert (dry.returncode, dry.stdout) == (0, "")
    assert "1 sessions with 1 kernels that ended before" in dry.stderr
    asked = mgr(*command, "2mo")
    assert asked.returncode, "nobody said yes"
    assert "sessions: 1 deleted" in ok(*command, "2mo", "--yes")
    assert "no session ended before" in ok(*command, "2mo", "--yes")
    assert "write a number with h, d, w, mo or yr" in mgr(*command, "soon").stderr


def test_changes_are_listed_newest_first(
    configure: Configure, make_database: Callable[[str | None], str]
) -> None:
    dsn = make_database(None)
    file = str(configure(db={"name": urlsplit(dsn).path.lstrip("/")}))
    ok("-f", file, "schema", "upgrade")

    async def insert() -> None:
        connection = await asyncpg.connect(dsn)
        for index, at in enumerate(("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")):
            await connection.execute(
                "INSERT INTO audit_log (at, request_id, user_id, email, access_key, action,"
                " target_kind, target_id, before, after) VALUES ($1, 'r', $2, 'root@example.com',"
                " 'AK', 'user.modify', 'user', $3,"
                ' \'{"role": "user"}\', \'{"role": "admin"}\')',
                datetime.fromisoformat(at),
                uuid.UUID(int=1),
                f"user{index}@example.com",
            )
        await connection.close()

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(insert())
    _, newest, oldest = ok("audit", "list", "-f", file).splitlines()
    assert "user user1@example.com  role: user -> admin" in newest
    assert "user0@example.com" in oldest
    found = json.loads(ok("audit", "list", "-f", file, "--until", "2026-01-15", "--output", "json"))
    assert [each["target_id"] for each in found["items"]] == ["user0@example.com"]
    assert found["total_count"] == 1
    assert json.loads(
        ok("audit", "list", "-f", file, "--action", "user.purge", "--output", "json")
    ) == {"items": [], "total_count": 0}
    assert "write a time like" in mgr("audit", "list", "-f", file, "--since", "noon").stderr


def test_a_backup_is_written_and_restored(
    configure: Configure, make_database: Callable[[str | None], str], tmp_path: Path
) -> None:
    name = urlsplit(make_database(None)).path.lstrip("/")
    file, path = str(configure(db={"name": name})), str(tmp_path / "cluster.tar.gz")
    ok("-f", file, "schema", "upgrade")
    ok("-f", file, "etcd", "put", "config/announcement", "Back at noon")
    told = ok("-f", file, "backup", path)
    assert f"wrote {path} (" in told
    assert "0 rows in " in told
    assert "with secret-key" in told

    empty = str(configure(db={"name": name}))
    assert "Restore it into database" in mgr("-f", empty, "restore", path).stderr, "nobody said yes"
    told = ok("-f", empty, "restore", path, "--yes")
    assert told.strip() == "restored 0 rows and 1 keys; start the managers now"
    assert ok("-f", empty, "etcd", "get", "config/announcement") == "Back at noon\n"

    with Path(path).open("r+b") as archive:
        archive.truncate(300)
    assert "is damaged" in refusal("-f", empty, "restore", path, "--replace", "--yes")


def test_a_relay_key_is_rotated_beside_the_present_one(configure: Configure, folder: Path) -> None:
    path = folder / "relay.secret"
    write_secret_key(path)
    present = load_secret_key(path)
    file = str(configure(relay={"secret-key-file": str(path)}))
    assert "copy it" in ok("-f", file, "rotate-relay-key", "--after", "600")
    first, second = read_secrets(path)
    assert first.key == present
    assert second.since > datetime.now(UTC) + timedelta(seconds=500)
    text = path.read_text()
    assert "waiting" in refusal("-f", file, "rotate-relay-key")
    assert path.read_text() == text
    assert "secret-key-file" in refusal("-f", str(configure()), "rotate-relay-key")
