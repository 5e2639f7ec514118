"""Makes every generated file of the project: `python -m tests.contract.generate` writes them.

The tests beside this module compare them with what is committed, so a change of a contract is seen
in review, and a generated page is never stale.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from backendai.agent.settings import AgentSettings
from backendai.common.contracts import agent as agent_contract
from backendai.common.contracts import watcher as watcher_contract
from backendai.common.lifecycle import DEADLINES, FINAL, HOLDING, TABLE, KernelStatus
from backendai.common.rpc.schema import contract_schema
from backendai.common.settings.render import render_reference, render_sample
from backendai.halfstack.daemons import Core, Node, render_agent_config, render_manager_config
from backendai.halfstack.engine import Engine
from backendai.halfstack.places import Layout
from backendai.halfstack.storage import Storage, render_storage_config
from backendai.halfstack.stores import StoreAddresses
from backendai.halfstack.webserver import Web, render_web_config
from backendai.halfstack.wsproxy import AppProxy, render_app_proxy_config
from backendai.manager.config.rest import API_VERSION
from backendai.manager.gate.openapi import make_document
from backendai.manager.inventory import declared_routes
from backendai.manager.settings import ManagerSettings
from backendai.storage.settings import StorageSettings
from backendai.webserver.settings import WebserverSettings
from backendai.wsproxy.settings import WsproxySettings

ROOT: Final = Path(__file__).resolve().parents[2]

# The stores of the compose files in halfstack/, at their default ports.
STORES: Final = StoreAddresses(
    "postgresql://backendai@127.0.0.1:5432/backendai", "redis://127.0.0.1:6379/0", "127.0.0.1:2379"
)
STATE: Final = Layout(Path(".bai"))
_HALFSTACK_HEAD: Final = """\
# What `./bai up` writes for this daemon, with the stores of halfstack/docker-compose.hs.*.yaml.
# Paths are relative to the source tree. Generated; see sample.toml for all settings.
# Passwords come from the environment: {secrets}.

"""

_MEANING: Final[Mapping[KernelStatus, str]] = {
    KernelStatus.PENDING: "In the queue. `backendai session why` says what it waits for.",
    KernelStatus.SCHEDULED: "Has a node and its resources; the agent is being told.",
    KernelStatus.PULLING: "The node fetches the image.",
    KernelStatus.PREPARING: "The node makes the container and waits for the runner inside.",
    KernelStatus.RUNNING: "The runner answers; code can run.",
    KernelStatus.RESTARTING: "A fresh container with the same files replaces the old one.",
    KernelStatus.TERMINATING: "Somebody ordered the end; the node removes the container.",
    KernelStatus.ERROR: (
        "It did not end in time and its node has not proved that it is gone. "
        "Its resources stay taken until the node answers or an operator fences it."
    ),
    KernelStatus.TERMINATED: "It ran and is gone.",
    KernelStatus.CANCELLED: "It never ran and nothing is left of it.",
}


def render_lifecycle() -> str:
    """The page about states: diagram, table of moves, and the prose of each state."""
    return "\n".join([*_introduction(), *_diagram(), *_states(), *_moves()]) + "\n"


def render_agent_contract() -> str:
    schema = contract_schema(agent_contract.CONTRACT)
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def render_watcher_contract() -> str:
    schema = contract_schema(watcher_contract.CONTRACT)
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def render_openapi() -> str:
    document = make_document(declared_routes(), "Backend.AI API", API_VERSION)
    return json.dumps(document, indent=1) + "\n"


def render_manager_halfstack() -> str:
    head = _HALFSTACK_HEAD.format(secrets="BACKEND_DB_PASSWORD, BACKEND_REDIS_PASSWORD")
    return head + render_manager_config(Core(STATE, STORES, 8081, 9181))


def render_agent_halfstack() -> str:
    """The machine's own numbers are left out: user 1000, 1 GiB kept."""
    engine = Engine("docker", "unix:///var/run/docker.sock", False, "")
    bundles = STATE.data / "bundles"
    node = Node(STATE, STORES, 6001, 6002, 9182, engine, bundles, (1000, 1000), 1024)
    head = _HALFSTACK_HEAD.format(secrets="BACKEND_ETCD_PASSWORD, where etcd asks for one")
    return head + render_agent_config(node)


def render_storage_halfstack() -> str:
    names = "BACKEND_STORAGE_SECRET, BACKEND_STORAGE_MANAGER_SECRET"
    head = _HALFSTACK_HEAD.format(secrets=names)
    return head + render_storage_config(Storage(STATE, 6021, 6022, 9183, (1000, 1000)))


def render_web_halfstack() -> str:
    head = _HALFSTACK_HEAD.format(secrets="BACKEND_REDIS_PASSWORD")
    proxy = AppProxy(STATE, STORES, 5050, 9185)
    web = Web(STATE, STORES, 8090, 9184, "http://127.0.0.1:8081", proxy.address)
    return head + render_web_config(web)


def render_wsproxy_halfstack() -> str:
    head = _HALFSTACK_HEAD.format(secrets="BACKEND_DB_PASSWORD")
    return head + render_app_proxy_config(AppProxy(STATE, STORES, 5050, 9185))


def _introduction() -> list[str]:
    return [
        "# Lifecycle of kernels and sessions",
        "",
        "Generated from `backendai.common.lifecycle`; change the table there.",
        "",
        "A session's status is computed from the statuses of its kernels, and written in the",
        "same transaction. Every move names the revision it was decided on and leaves a history",
        "row and an outbox row. `failed`, `requeue`, `exited` and `gone` carry the agent's proof",
        "that nothing of that generation runs, and `fenced` the word of an operator who knows that",
        "its node is dead (`backendai mgr agent fence`); only they release resources.",
        "",
    ]


def _diagram() -> list[str]:
    edges: dict[tuple[str, str], list[str]] = {}
    for (source, event), target in TABLE.items():
        edges.setdefault((source.value, target.value), []).append(event.value)
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> PENDING"]
    lines += [f"    {a} --> {b}: {', '.join(events)}" for (a, b), events in edges.items()]
    lines += [f"    {status.value} --> [*]" for status in KernelStatus if status in FINAL]
    return [*lines, "```", ""]


def _states() -> list[str]:
    rows = [
        f"| {status.value} | {_MEANING[status]} | {'yes' if status in HOLDING else 'no'} "
        f"| {_longest_stay(status)} |"
        for status in KernelStatus
    ]
    head = "| State | Meaning | Holds resources | Longest stay |"
    return ["## States", "", head, "|---|---|---|---|", *rows, ""]


def _longest_stay(status: KernelStatus) -> str:
    deadline = DEADLINES.get(status)
    if deadline is None:
        return "final"
    if deadline.seconds is None or deadline.event is None:
        return "no limit"
    return f"{deadline.seconds:g} s, then {deadline.event.value}"


def _moves() -> list[str]:
    rows = [
        f"| {source.value} | {event.value} | {target.value} |"
        for (source, event), target in TABLE.items()
    ]
    return ["## Moves", "", "| From | Event | To |", "|---|---|---|", *rows]


GENERATED: Final[Mapping[str, Callable[[], str]]] = {
    "docs/lifecycle.md": render_lifecycle,
    "docs/reference/agent-rpc.json": render_agent_contract,
    "docs/reference/watcher-rpc.json": render_watcher_contract,
    "docs/reference/agent-settings.md": lambda: render_reference(AgentSettings, "agent"),
    "docs/reference/openapi.json": render_openapi,
    "docs/reference/manager-settings.md": lambda: render_reference(ManagerSettings, "manager"),
    "docs/reference/storage-proxy-settings.md": lambda: render_reference(
        StorageSettings, "storage proxy"
    ),
    "docs/reference/webserver-settings.md": lambda: render_reference(
        WebserverSettings, "webserver"
    ),
    "configs/webserver/halfstack.toml": render_web_halfstack,
    "configs/wsproxy/halfstack.toml": render_wsproxy_halfstack,
    "configs/webserver/sample.toml": lambda: render_sample(WebserverSettings, "webserver"),
    "configs/storage-proxy/halfstack.toml": render_storage_halfstack,
    "configs/storage-proxy/sample.toml": lambda: render_sample(StorageSettings, "storage proxy"),
    "configs/agent/sample.toml": lambda: render_sample(AgentSettings, "agent"),
    "configs/agent/halfstack.toml": render_agent_halfstack,
    "docs/reference/wsproxy-settings.md": lambda: render_reference(WsproxySettings, "app proxy"),
    "configs/wsproxy/sample.toml": lambda: render_sample(WsproxySettings, "app proxy"),
    "configs/manager/halfstack.toml": render_manager_halfstack,
    "configs/manager/sample.toml": lambda: render_sample(ManagerSettings, "manager"),
}


def main() -> None:
    for name, render in GENERATED.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render())
        print(f"wrote {name}")


if __name__ == "__main__":
    main()
