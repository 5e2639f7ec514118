"""A real Prometheus watches a real cluster: all that its files name is told, and a lost node."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import requests

from backendai.halfstack.control import ensure_services, stop_services
from backendai.halfstack.status import load_wanted
from tests.running.rest import Api
from tests.running.sessions import start
from tests.running.stack import Stack
from tests.running.waiting import until
from tests.running.watching import (
    Prometheus,
    families_told,
    list_expressions,
    list_rules,
    metrics_of,
    running_prometheus,
)

DAEMONS: Final = ("agent", "manager", "storage", "webserver", "wsproxy")
# What only a machine with accelerators, or one on which something is wrong, has a value for.
SOMETIMES: Final = ("device_", "sessions_waiting", "slot!~", " == 0", "failures > 0", "!=", "5..")


def pages(stack: Stack) -> dict[str, str]:
    """Daemon -> the address of its metrics, as `status` tells it."""
    rows = stack.status()["daemons"]
    return {row["name"]: row["monitoring"] for row in rows if row["monitoring"]}


@pytest.fixture
def prometheus(stack: Stack, tmp_path: Path) -> Iterator[Prometheus]:
    targets = {
        f"backendai-{name}": page.removeprefix("http://").removesuffix("/metrics")
        for name, page in pages(stack).items()
    }
    with running_prometheus(tmp_path, targets) as found:
        yield found


def test_status_shows_where_each_daemon_is_watched(stack: Stack) -> None:
    found = pages(stack)
    assert sorted(found) == sorted(DAEMONS)
    shown = stack.bai("status").out
    assert all(f"metrics: {page}" in shown for page in found.values())
    for name, page in found.items():
        health = requests.get(page.replace("/metrics", "/health/ready"), timeout=30)
        assert health.status_code == 200, (name, health.text)


def test_all_that_the_dashboard_and_the_rules_name_is_told(stack: Stack) -> None:
    told = set[str]()
    for page in pages(stack).values():
        told |= families_told(requests.get(page, timeout=30).text)
    for expression in [*list_expressions(), *(rule["expr"] for rule in list_rules())]:
        assert metrics_of(expression) <= told, expression


def test_panels_have_values(stack: Stack, api: Api, prometheus: Prometheus) -> None:
    start(api, "watched")
    expressions = list_expressions()
    steady = [one for one in expressions if not any(word in one for word in SOMETIMES)]
    assert len(steady) > len(expressions) / 2
    for expression in expressions:
        prometheus.ask(expression)
    for expression in steady:
        until(lambda asked=expression: prometheus.ask(asked), f"a value of {expression}")


def test_a_node_that_is_gone_is_told_until_it_is_back(stack: Stack, prometheus: Prometheus) -> None:
    assert not prometheus.firing() & {"BackendaiDaemonDown", "BackendaiAgentLost"}
    agent = [one for one in load_wanted(stack.layout) if one.name == "agent"]
    asyncio.run(stop_services(stack.layout, ["agent"]))
    try:
        for alert in ("BackendaiDaemonDown", "BackendaiAgentLost"):
            until(lambda name=alert: name in prometheus.firing(), f"{alert} fires")
    finally:
        asyncio.run(ensure_services(stack.layout, agent))
    for alert in ("BackendaiDaemonDown", "BackendaiAgentLost"):
        until(lambda name=alert: name not in prometheus.firing(), f"{alert} is over")


def test_the_doctor_tells_of_the_whole_cluster_and_of_what_is_down(stack: Stack) -> None:
    whole = stack.bai("doctor", "--cluster", "--json")
    found = {one["name"]: one for one in json.loads(whole.out)}
    assert (whole.code, found["webserver"]["verdict"]) == (0, "ok"), whole.both
    proxy = [one for one in load_wanted(stack.layout) if one.name == "wsproxy"]
    asyncio.run(stop_services(stack.layout, ["wsproxy"]))
    try:
        done = stack.bai("doctor", "--cluster")
        assert done.code == 1, done.both
        assert "systemctl start backendai-wsproxy" in done.out
    finally:
        asyncio.run(ensure_services(stack.layout, proxy))
