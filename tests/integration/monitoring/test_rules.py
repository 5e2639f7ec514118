"""Each alert fires for what it is about and for nothing else, by Prometheus' own tool."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.running.watching import RULES, SAMPLE, list_rules

MINUTES: Final = 90
STEADY: Final = f"x{2 * MINUTES}"
Series = Sequence[tuple[str, str]]

HEALTHY: Final[Series] = (
    ('up{job="backendai-agent", instance="a:1"}', "1"),
    ('backendai_loop_up{job="backendai-manager", instance="m:1", loop="plan"}', "1"),
    ('backendai_loop_failures{job="backendai-manager", instance="m:1", loop="plan"}', "0"),
    ('backendai_reading_up{job="backendai-manager", instance="m:1", reading="cluster"}', "1"),
    ('backendai_loop_lag_seconds_bucket{job="j", instance="m:1", le="0.01"}', "0+99"),
    ('backendai_loop_lag_seconds_bucket{job="j", instance="m:1", le="+Inf"}', "0+99"),
    ('backendai_http_requests_total{job="j", status="200"}', "0+100"),
    ('backendai_http_requests_total{job="j", status="500"}', "0+1"),
    ('backendai_http_request_seconds_bucket{job="j", route="/", le="0.1"}', "0+99"),
    ('backendai_http_request_seconds_bucket{job="j", route="/", le="+Inf"}', "0+99"),
    ("backendai_managers", "1"),
    ('backendai_lease_held{work="plan", instance="m:1"}', "1"),
    ('backendai_agents{status="ALIVE", schedulable="yes", resource_group="default"}', "3"),
    ('backendai_loop_step_seconds_bucket{loop="plan", le="0.1"}', "0+9"),
    ('backendai_loop_step_seconds_bucket{loop="plan", le="+Inf"}', "0+9"),
    ('backendai_sessions_waiting_seconds_max{resource_group="default"}', "60"),
    ("backendai_events_untold", "3"),
    ('backendai_agent_call_seconds_count{kind="ensure", outcome="ok"}', "0+99"),
    ('backendai_agent_call_seconds_count{kind="ensure", outcome="agent.timeout"}', "0+1"),
    ('backendai_agent_engine_up{instance="a:1"}', "1"),
    ('backendai_agent_halted{instance="a:1"}', "0"),
    ('backendai_engine_call_seconds_bucket{instance="a:1", kind="ask", le="0.1"}', "0+9"),
    ('backendai_engine_call_seconds_bucket{instance="a:1", kind="ask", le="+Inf"}', "0+9"),
    ('backendai_device_up{instance="a:1", slot="cuda.device", device="0"}', "1"),
    ('backendai_disk_free_bytes{instance="a:1", path="/"}', "50"),
    ('backendai_disk_total_bytes{instance="a:1", path="/"}', "100"),
    ('backendai_disk_free_bytes{instance="a:1", path="/proc"}', "0"),
    ('backendai_disk_total_bytes{instance="a:1", path="/proc"}', "0"),
    ('backendai_volume_up{instance="s:1", volume="v"}', "1"),
    ('backendai_volume_used_bytes{instance="s:1", volume="v"}', "50"),
    ('backendai_volume_capacity_bytes{instance="s:1", volume="v"}', "100"),
    ('backendai_app_connections{instance="w:1"}', "5"),
    ('backendai_app_connections_max{instance="w:1"}', "100"),
    ('backendai_app_requests_total{instance="w:1", end="answered"}', "0+99"),
    ('backendai_app_requests_total{instance="w:1", end="refused"}', "0+1"),
)
# What is laid over the healthy ones; None takes a series away.
SICK: Final[dict[str, dict[str, str | None]]] = {
    "BackendaiDaemonDown": {'up{job="backendai-agent", instance="a:1"}': "0"},
    "BackendaiLoopStands": {
        'backendai_loop_up{job="backendai-manager", instance="m:1", loop="plan"}': "0"
    },
    "BackendaiLoopFails": {
        'backendai_loop_failures{job="backendai-manager", instance="m:1", loop="plan"}': "5"
    },
    "BackendaiReadingFails": {
        'backendai_reading_up{job="backendai-manager", instance="m:1", reading="cluster"}': "0"
    },
    "BackendaiEventLoopBusy": {
        'backendai_loop_lag_seconds_bucket{job="j", instance="m:1", le="0.01"}': "0+9",
        'backendai_loop_lag_seconds_bucket{job="j", instance="m:1", le="5"}': "0+99",
    },
    "BackendaiRequestsFail": {'backendai_http_requests_total{job="j", status="500"}': "0+10"},
    "BackendaiRequestsSlow": {
        'backendai_http_request_seconds_bucket{job="j", route="/", le="0.1"}': "0+9",
        'backendai_http_request_seconds_bucket{job="j", route="/", le="60"}': "0+99",
    },
    "BackendaiNoManager": {"backendai_managers": None},
    "BackendaiNobodyPlans": {'backendai_lease_held{work="plan", instance="m:1"}': "0"},
    "BackendaiAgentLost": {
        'backendai_agents{status="LOST", schedulable="yes", resource_group="default"}': "1"
    },
    "BackendaiPlanSlow": {
        'backendai_loop_step_seconds_bucket{loop="plan", le="0.1"}': "0+1",
        'backendai_loop_step_seconds_bucket{loop="plan", le="15"}': "0+9",
    },
    "BackendaiSessionsWaitLong": {
        'backendai_sessions_waiting_seconds_max{resource_group="default"}': "4000"
    },
    "BackendaiEventsUntold": {"backendai_events_untold": "2000"},
    "BackendaiAgentCallsFail": {
        'backendai_agent_call_seconds_count{kind="ensure", outcome="agent.timeout"}': "0+50"
    },
    "BackendaiEngineDown": {'backendai_agent_engine_up{instance="a:1"}': "0"},
    "BackendaiAgentHalted": {'backendai_agent_halted{instance="a:1"}': "1"},
    "BackendaiEngineCallsSlow": {
        'backendai_engine_call_seconds_bucket{instance="a:1", kind="ask", le="0.1"}': "0+1",
        'backendai_engine_call_seconds_bucket{instance="a:1", kind="ask", le="60"}': "0+9",
    },
    "BackendaiDeviceSick": {
        'backendai_device_up{instance="a:1", slot="cuda.device", device="0"}': "0"
    },
    "BackendaiDiskNearFull": {'backendai_disk_free_bytes{instance="a:1", path="/"}': "9"},
    "BackendaiVolumeDown": {'backendai_volume_up{instance="s:1", volume="v"}': "0"},
    "BackendaiVolumeNearFull": {'backendai_volume_used_bytes{instance="s:1", volume="v"}': "91"},
    "BackendaiAppProxyFull": {'backendai_app_connections{instance="w:1"}': "95"},
    "BackendaiAppsRefused": {'backendai_app_requests_total{instance="w:1", end="refused"}': "0+50"},
}


def promtool(*words: str | Path) -> str:
    done = subprocess.run(
        ["promtool", *map(str, words)], capture_output=True, text=True, check=False, timeout=120
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def make_case(series: Series, expected: str | None) -> dict[str, Any]:
    """`expected` is the one alert that fires at the end."""
    query = 'count by (alertname) (ALERTS{alertstate="firing"})'
    found = [{"labels": f'{{alertname="{expected}"}}', "value": 1}] if expected else []
    return {
        "interval": "30s",
        "input_series": [
            {"series": name, "values": f"{text}{STEADY}" if "+" in text else f"{text}+0{STEADY}"}
            for name, text in series
        ],
        "promql_expr_test": [{"expr": query, "eval_time": f"{MINUTES}m", "exp_samples": found}],
    }


def run_case(folder: Path, case: dict[str, Any]) -> None:
    file = folder / "case.yml"
    settings = {"rule_files": [str(RULES)], "evaluation_interval": "30s", "tests": [case]}
    file.write_text(yaml.safe_dump(settings))
    promtool("test", "rules", file)


def test_rules_and_the_sample_are_what_prometheus_takes() -> None:
    assert "SUCCESS" in promtool("check", "rules", RULES)
    assert "SUCCESS" in promtool("check", "config", SAMPLE)


def test_nothing_fires_while_all_is_well(tmp_path: Path) -> None:
    run_case(tmp_path, make_case(HEALTHY, None))


@pytest.mark.parametrize("alert", [rule["alert"] for rule in list_rules()])
def test_an_alert_fires_for_what_it_is_about_and_no_other_does(alert: str, tmp_path: Path) -> None:
    changed: dict[str, str | None] = dict(HEALTHY) | SICK[alert]
    series = [(name, text) for name, text in changed.items() if text is not None]
    run_case(tmp_path, make_case(series, alert))


def test_each_alert_leads_to_a_section_of_the_runbook() -> None:
    text = (RULES.parents[2] / "docs/operating/runbook.md").read_text()
    sections = {
        line.lstrip("#").strip().lower().replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    assert {rule["labels"]["runbook"] for rule in list_rules()} <= sections
