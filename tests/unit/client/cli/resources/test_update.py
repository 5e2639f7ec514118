"""`admin policy`, `preset` and `resource-group`: limits are lifted, and options join others."""

from typing import Any

import pytest

from backendai.client.cli.resources.resource_group import join_scheduling
from tests.unit.client.cli.conftest import Commands

POLICY = ("admin", "policy", "update", "students", "--of", "keypair")


@pytest.mark.parametrize(
    ("words", "props"),
    [
        (("--max-pending-sessions", "none"), {"max_pending_session_count": -1}),
        (("--pending-resource", ""), {"max_pending_session_resource_slots": "{}"}),
        (("-r", "cpu=4", "-r", "mem=1g"), {"total_resource_slots": '{"cpu":"4","mem":"1g"}'}),
        (("--idle-timeout", "none"), {"idle_timeout": 0}),
        (("--vfolder-host", ""), {"allowed_vfolder_hosts": "{}"}),
    ],
)
def test_limits_of_a_policy_are_lifted(
    commands: Commands, words: tuple[str, ...], props: dict[str, Any]
) -> None:
    commands.transport.replies["modify_keypair_resource_policy"] = {"ok": True}
    done = commands.run(*POLICY, *words)
    assert done.exit_code == 0, done.output
    assert commands.transport.asked[0][1] == {"name": "students", "props": props}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "give one of --resource, "),
        (("--pending-resource", "", "--pending-resource", "cpu=1"), "--pending-resource: no empty"),
        (("--max-vfolder-count", "1"), "A policy of keypairs has no max-vfolder-count. It has"),
        (("--max-pending-sessions", "-1"), "must be a whole number, or none"),
    ],
)
def test_what_is_no_limit_of_a_policy_is_refused(
    commands: Commands, words: tuple[str, ...], told: str
) -> None:
    done = commands.run(*POLICY, *words)
    assert told in done.stderr
    assert commands.transport.asked == []


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (("--session-type", ""), '{"placement":"dispersed"}'),
        (
            ("--session-type", "batch"),
            '{"placement":"dispersed","allowed_session_types":["batch"]}',
        ),
        (
            ("--placement", "concentrated"),
            '{"placement":"concentrated","allowed_session_types":["interactive"]}',
        ),
    ],
)
def test_options_of_the_scheduler_that_are_not_named_stay(
    commands: Commands, words: tuple[str, ...], options: str
) -> None:
    now = '{"placement": "dispersed", "allowed_session_types": ["interactive"]}'
    commands.transport.replies |= {
        "scaling_group": {"name": "gpu", "scheduler_opts": now},
        "modify_scaling_group": {"ok": True},
    }
    done = commands.run("admin", "resource-group", "update", "gpu", *words)
    assert done.exit_code == 0, done.output
    assert commands.transport.asked[1][1]["props"] == {"scheduler_opts": options}


def test_of_two_words_for_one_option_ours_stays() -> None:
    now = {"agent_selection_strategy": "dispersed", "pending_timeout": 5.0, "config": {}}
    assert join_scheduling(now, {"placement": "concentrated"}) == {
        "placement": "concentrated",
        "pending_timeout": 5.0,
        "config": {},
    }
