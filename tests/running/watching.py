"""The files for Prometheus and Grafana, as tests read them, and a Prometheus that uses them."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import requests
import yaml

from tests.running.fixtures import find_port
from tests.running.stack import ROOT
from tests.running.waiting import until

RULES: Final = ROOT / "monitoring/prometheus/rules.yml"
SAMPLE: Final = ROOT / "monitoring/prometheus/prometheus.yml"
DASHBOARD: Final = ROOT / "monitoring/grafana/backendai.json"
_METRIC: Final = re.compile(r"\bbackendai_\w+")
_PARTS: Final = ("_bucket", "_sum", "_count")
_DURATION: Final = re.compile(r"for: \d+[ms]")


def list_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def list_expressions() -> list[str]:
    """Of the panels of the dashboard, as Prometheus takes them."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return [text.replace("$__rate_interval", "1m") for text in found]


def metrics_of(expression: str) -> set[str]:
    """The families that are named: what a histogram is made of counts as the histogram."""
    return {_family_of(name) for name in _METRIC.findall(expression)}


def _family_of(name: str) -> str:
    for part in _PARTS:
        name = name.removesuffix(part)
    return name


def families_told(text: str) -> set[str]:
    """What a daemon's page declares, also where it has no value just now."""
    return set(re.findall(r"^# TYPE (backendai_\w+) ", text, re.MULTILINE))


def hasten(rules: str) -> str:
    """The same rules without patience: what holds them back has tests of its own."""
    return _DURATION.sub("for: 1s", rules)


class Prometheus:
    """A running one; `ask` answers a query with its series."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, expression: str) -> list[dict[str, Any]]:
        answer = self._get("query", query=expression)
        assert answer["status"] == "success", (expression, answer)
        return list(answer["data"]["result"])

    def firing(self) -> set[str]:
        alerts = self._get("alerts")["data"]["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    def targets_up(self) -> int:
        return sum(one["health"] == "up" for one in self._get("targets")["data"]["activeTargets"])

    def _get(self, what: str, **query: str) -> Any:
        return requests.get(f"{self._address}/api/v1/{what}", params=query, timeout=30).json()


@contextmanager
def running_prometheus(folder: Path, targets: Mapping[str, str]) -> Iterator[Prometheus]:
    """`targets` is job -> `host:port`. It looks each second."""
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [address]}]}
            for job, address in targets.items()
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "rules.yml").write_text(hasten(RULES.read_text()))
    address = f"127.0.0.1:{find_port()}"
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        found = Prometheus(f"http://{address}")
        until(lambda: found.targets_up() == len(targets), "Prometheus sees every daemon")
        yield found
    finally:
        process.terminate()
        process.wait(30)
