"""A whole running system as a test sees it: commands, API, processes, containers, database."""

import asyncio
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg
import docker
import psutil

from backendai.halfstack.config import HalfstackSettings
from backendai.halfstack.places import Layout
from backendai.halfstack.status import report_status
from backendai.halfstack.stores import ExternalStores, StoreAddresses, list_addresses
from tests.running.rest import Api

ROOT: Final = Path(__file__).resolve().parents[2]
COMMAND: Final = Path(sys.executable).with_name("backendai")
T = TypeVar("T")
_EXPORT: Final = re.compile(r"^export (\w+)=(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Done:
    """A command that ended. `both` is stdout and stderr together, for messages."""

    code: int
    out: str
    err: str

    @property
    def both(self) -> str:
        return self.out + self.err


def run(argv: list[str], environ: Mapping[str, str], seconds: float = 300.0, **more: Any) -> Done:
    """Run to its end. Raises subprocess.TimeoutExpired."""
    done = subprocess.run(
        argv,
        env=environ,
        cwd=more.pop("cwd", ROOT),
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        **{"stdin": subprocess.DEVNULL, **more},
    )
    return Done(done.returncode, done.stdout, done.stderr)


def _run_apart(work: Coroutine[Any, Any, T]) -> T:
    """In a thread of its own: the caller's may have a loop that drives a browser."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@dataclass(frozen=True)
class FirstUp:
    """The run of `./bai up` that started a stack."""

    done: Done
    seconds: float


@dataclass(frozen=True)
class Stack:
    """The instance whose state is in `home`."""

    home: Path

    @property
    def environ(self) -> dict[str, str]:
        """A person's environment without anything of another instance in it."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("BACKEND_", "BAI_"))}
        kept.pop("DOCKER_HOST", None)
        path = f"{COMMAND.parent}:{kept['PATH']}"
        own = {"BAI_HOME": str(self.home), "BAI_CONFIG": str(self.config)}
        cache = {k: v for k, v in os.environ.items() if k == "BAI_CACHE"}
        return kept | cache | own | {"PATH": path, "COLUMNS": "200"}

    @property
    def config(self) -> Path:
        """The instance's `bai.toml`, beside its state; it need not exist."""
        return self.home.with_name(f"{self.home.name}.toml")

    def bai(self, *words: str, seconds: float = 600.0, **environ: str) -> Done:
        """`./bai …`; `environ` is laid over the environment."""
        return run([str(ROOT / "bai"), *words], self.environ | environ, seconds)

    def cli(self, *words: str, who: str = "user", seconds: float = 180.0) -> Done:
        """`backendai …` as a person who loaded the credentials of `who`."""
        return run([str(COMMAND), *words], self.environ | self.credentials(who), seconds)

    def ok(self, *words: str, who: str = "user") -> str:
        """Standard output of a command that has to succeed."""
        done = self.cli(*words, who=who)
        assert done.code == 0, f"backendai {' '.join(words)}: exit {done.code}\n{done.both}"
        return done.out

    def credentials(self, who: str = "user") -> dict[str, str]:
        text = (self.home / f"env-{who}.sh").read_text()
        return {name: value.strip("'\"") for name, value in _EXPORT.findall(text)}

    def api(self, who: str = "user") -> Api:
        found = self.credentials(who)
        return Api(
            found["BACKEND_ENDPOINT"], found["BACKEND_ACCESS_KEY"], found["BACKEND_SECRET_KEY"]
        )

    def status(self) -> dict[str, Any]:
        """What `./bai status --json` prints, but for the seconds that a program takes to start."""
        report = _run_apart(report_status(self.layout, HalfstackSettings()))
        return asdict(report)

    def is_green(self) -> bool:
        return bool(self.status()["healthy"])

    def daemon(self, name: str) -> dict[str, Any]:
        """What `status` says of one process: name, pid, healthy, address."""
        found = {row["name"]: row for row in self.status()["daemons"]}
        return dict(found[name])

    def processes(self, name: str) -> list[psutil.Process]:
        """A daemon and all its children."""
        main = psutil.Process(self.daemon(name)["pid"])
        return [main, *main.children(recursive=True)]

    @property
    def backend(self) -> str:
        return "docker" if self.docker_host else "process"

    def settings(self, daemon: str) -> dict[str, Any]:
        """The configuration file of the manager or of the agent."""
        return tomllib.loads((self.home / "etc" / f"{daemon}.toml").read_text())

    @property
    def docker_host(self) -> str:
        """Where the engine of the containers listens; empty for the process backend."""
        return str(self.settings("agent")["container"].get("docker-host", ""))

    @property
    def layout(self) -> Layout:
        return Layout(self.home)

    @property
    def cores(self) -> float:
        """What agents may give to kernels."""
        found = self.query("SELECT sum(capacity) AS cpu FROM agent_slots WHERE slot = 'cpu'")
        return float(found[0]["cpu"])

    def engine(self) -> AbstractContextManager[docker.DockerClient]:
        return open_engine(self.docker_host)

    def containers(self, session_id: str = "") -> dict[str, int]:
        """As `list_containers` of its engine."""
        return list_containers(self.docker_host, session_id)

    @property
    def stores(self) -> StoreAddresses:
        return list_addresses(self.layout, ExternalStores())

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of the manager's own database."""
        return _run_apart(_query(self.stores.postgres, sql))

    def drift(self) -> list[dict[str, Any]]:
        return self.query("SELECT * FROM slot_drift")


@contextmanager
def open_engine(docker_host: str) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(base_url=docker_host, timeout=60)
    try:
        yield client
    finally:
        client.close()


def list_containers(docker_host: str, session_id: str = "") -> dict[str, int]:
    """Name -> process id, as its host counts, of each container of ours, or of one session."""
    label = f"bai.session={session_id}" if session_id else "bai.kernel"
    with open_engine(docker_host) as client:
        listed = client.api.containers(all=True, filters={"label": label})
        found = [client.api.inspect_container(row["Id"]) for row in listed]
    return {row["Name"].lstrip("/"): row["State"]["Pid"] for row in found}


async def _query(dsn: str, sql: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [dict(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


def find_stack() -> Stack:
    """The instance of BAI_TEST_STACK or BAI_HOME, else the one of this checkout."""
    named = os.environ.get("BAI_TEST_STACK") or os.environ.get("BAI_HOME")
    return Stack(Path(named).absolute() if named else ROOT / ".bai")
