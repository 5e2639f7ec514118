"""The peer of `notebooks`: a JupyterHub with DockerSpawner on the engine of a stack.

Its containers share the host's network, which is the quickest that this spawner has.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import docker

from backendai.halfstack.dockerfiles import Recipe, build_all, build_image
from backendai.halfstack.gui import find_npm
from backendai.halfstack.images import find_cache
from tests.running.rest import Answer, Api
from tests.running.waiting import until

VERSION: Final = "6.1.1"
PROXY: Final = "configurable-http-proxy@5"
PINS: Final = (f"jupyterhub=={VERSION}", "dockerspawner==14.0.0")
IMAGE: Final = "bai/jupyterhub-user:bench"
USERS: Final = 5
_DOCKERFILE: Final = f"""ARG BASE=bai/jupyter:4
FROM ${{BASE}}
RUN /opt/venv/bin/pip install --no-cache-dir jupyterhub=={VERSION} \\
 && /opt/venv/bin/python -m compileall -q /opt/venv/lib || true
"""
_CONFIG: Final = """
import os, socket
from dockerspawner import DockerSpawner

class HostSpawner(DockerSpawner):
    async def start(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        return await super().start()

    async def get_ip_and_port(self):
        return "127.0.0.1", self.port

facts = __import__("json").loads(os.environ["BENCH_HUB"])
c = get_config()
c.JupyterHub.spawner_class = HostSpawner
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.bind_url = f"http://127.0.0.1:{facts['port']}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{facts['hub_port']}"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.cookie_secret_file = "cookie"
c.ConfigurableHTTPProxy.command = facts["proxy"]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{facts['proxy_port']}"
c.HostSpawner.image = facts["image"]
c.HostSpawner.network_name = "host"
# There are no ports to publish there.
c.HostSpawner.use_internal_ip = True
c.HostSpawner.extra_host_config = {"network_mode": "host"}
c.HostSpawner.remove = True
c.HostSpawner.cmd = ["/opt/venv/bin/jupyterhub-singleuser"]
c.HostSpawner.args = ["--allow-root"]
c.HostSpawner.notebook_dir = "/tmp"
c.HostSpawner.http_timeout = c.HostSpawner.start_timeout = 90
c.JupyterHub.services = [{"name": "bench", "api_token": facts["token"]}]
c.JupyterHub.load_roles = [
    {"name": "bench", "scopes": ["admin:users", "admin:servers", "access:servers"],
     "services": ["bench"]}
]
c.Authenticator.allow_all = True
c.JupyterHub.concurrent_spawn_limit = 100
"""


@dataclass(frozen=True)
class Hub:
    """One that runs. Its users are `user0` and on."""

    url: str
    token: str

    @property
    def authorization(self) -> str:
        return f"token {self.token}"

    def ask(self, method: str, path: str) -> Answer:
        return Api(self.url).ask(method, f"/hub/api{path}", Authorization=self.authorization)

    def start(self, user: str) -> None:
        """Until its server is ready."""
        answer = self.ask("POST", f"/users/{user}/server")
        assert answer.status in (201, 202), answer.body
        self._wait(user, ready=True)

    def stop(self, user: str) -> None:
        assert self.ask("DELETE", f"/users/{user}/server").status in (202, 204)
        self._wait(user, ready=False)

    def _wait(self, user: str, *, ready: bool) -> None:
        def look() -> bool:
            servers: dict[str, Any] = self.ask("GET", f"/users/{user}").json()["servers"]
            return bool(servers.get("", {}).get("ready")) if ready else not servers

        until(look, f"the server of {user}, ready: {ready}")


@contextmanager
def run_hub(folder: Path, docker_host: str) -> Iterator[Hub]:
    """A hub whose state is below `folder`, with its users made, and its image built."""
    python, proxy = _make_environment(), _install_proxy()
    _build_image(docker_host, folder)
    ports = [find_free_port() for _ in range(3)]
    node, _ = find_npm()
    facts = {
        **dict(zip(("port", "hub_port", "proxy_port"), ports, strict=True)),
        "proxy": [str(node), str(proxy)],
        "token": secrets.token_hex(16),
        "image": IMAGE,
    }
    config = folder / "hub.py"
    config.write_text(_CONFIG)
    with (folder / "hub.log").open("wb") as log:
        process = subprocess.Popen(
            [python, "-m", "jupyterhub", "-f", config],
            cwd=folder,
            env={**os.environ, "DOCKER_HOST": docker_host, "BENCH_HUB": json.dumps(facts)},
            stdout=log,
            stderr=log,
        )
    hub = Hub(f"http://127.0.0.1:{ports[0]}", str(facts["token"]))
    try:
        _await_ready(hub, process, folder / "hub.log")
        for number in range(USERS):
            assert hub.ask("POST", f"/users/user{number}").status == 201
        yield hub
    finally:
        process.terminate()
        process.wait(30)


def _await_ready(hub: Hub, process: "subprocess.Popen[bytes]", log: Path) -> None:
    def look() -> bool:
        assert process.poll() is None, log.read_text()[-2000:]
        return hub.ask("GET", "/").status == 200

    until(look, "the hub")


def find_free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _make_environment() -> Path:
    folder = find_cache() / f"jupyterhub-{VERSION}"
    mark = folder / ".complete"
    if not mark.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [str(folder / "bin/python"), "-m", "pip", "install", "-q", *PINS]
        subprocess.run(install, check=True)
        mark.touch()
    return folder / "bin/python"


def _install_proxy() -> Path:
    folder = find_cache() / "configurable-http-proxy"
    program = folder / "node_modules/configurable-http-proxy/bin/configurable-http-proxy"
    if not program.exists():
        node, npm = find_npm()
        install = ["install", "--no-audit", "--no-fund", f"--prefix={folder}", PROXY]
        environ = {**os.environ, "PATH": f"{node.parent}:{os.environ['PATH']}"}
        subprocess.run(
            [str(node), str(npm), *install], check=True, env=environ, capture_output=True
        )
    return program


def _build_image(docker_host: str, folder: Path) -> None:
    for _ in build_all(["jupyter"], docker_host, lambda _: None):
        pass
    recipe = folder / "image"
    recipe.mkdir()
    (recipe / "Dockerfile").write_text(_DOCKERFILE)
    client = docker.APIClient(base_url=docker_host, timeout=600)
    try:
        one = Recipe("jupyterhub", IMAGE, "bai/jupyter:4", "", recipe)
        build_image(client, one, os.environ, lambda _: None)
    finally:
        client.close()
