"""Sessions told to people: their facts, their reasons, their moves."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from backendai.client.cli.summary import (
    idle_lines,
    info_lines,
    mount_lines,
    move_rows,
    read_mapping,
    short_reason,
    waiting_text,
    why_lines,
)
from backendai.client.cli.units import show_moment
from backendai.client.results import Move, Why

BEGIN = datetime.fromisoformat("2026-11-21T09:00:00+00:00")
NOW = BEGIN + timedelta(minutes=3)
KERNEL = "4293db87-572d-4544-8160-7469dc6d7991"
WAITING = {
    "rule": "room",
    "need": {"cpu": "2", "mem": "256m"},
    "have": {"cpu": "1", "mem": "23373376k"},
    "causes": {"lost": 1, "not-enough-cpu": 3},
    "detail": "No node has room for 2 cpu.",
    "at": (NOW - timedelta(seconds=3)).isoformat(),
}
FACTS: dict[str, Any] = {
    "sessionName": "a",
    "sessionId": "94a2c7cf",
    "status": "RUNNING",
    "image": "bai/python:3.11",
    "architecture": "x86_64",
    "requestedSlots": "{'cpu': '1', 'mem': '268435456'}",
    "occupiedSlots": "{'cpu': '1', 'mem': '268435456'}",
    "resourceOpts": "{'shmem': '67108864'}",
    "environ": "{'A': '1', 'B': 'it\\'s'}",
    "creationTime": BEGIN.isoformat(),
    "statusData": {},
    "lastStat": {
        "cpu_util": {"current": "12.34"},
        "mem": {"current": "21421130", "stats.max": "31421130"},
        "net_rx": {"current": "0"},
        "io_read": {"current": "odd"},
    },
    "result": "undefined",
    "domainName": "default",
}


def move(status: str, seconds: float, kernel: str | None = None, **more: Any) -> Move:
    at = (BEGIN + timedelta(seconds=seconds)).isoformat()
    return Move(at=at, kernel_id=kernel, to_status=status, event=status.lower(), **more)


MOVES = (
    move("PENDING", 0, KERNEL),
    move("PENDING", 0),
    move("SCHEDULED", 0.25, KERNEL, detail={"agent": "i-1"}),
    move("SCHEDULED", 0.25, detail={}),
    move("RUNNING", 65.25, KERNEL, detail={"agent": "i-1"}),
    move("RUNNING", 65.25, reason="restarted", detail={"detail": "It ran out of memory."}),
)


def test_info_says_what_a_person_asks_for_first() -> None:
    lines = dict(line for line in info_lines(FACTS, MOVES, NOW) if line[0])
    assert lines["session"] == "a (94a2c7cf)"
    assert lines["status"].startswith("RUNNING since ")
    assert lines["status"].endswith(" (1m 54s)")
    assert lines["asked for"] == "cpu 1, mem 256m, shared memory 64m"
    assert lines["uses"] == "cpu 12.3 %, mem 20.43m (most 29.97m)"
    assert lines["created"].endswith("(3m ago)")
    assert not {"reason", "result", "holds", "ended"} & set(lines)


def test_info_has_no_maps_and_every_variable() -> None:
    lines = [*info_lines(FACTS, (), NOW)]
    assert not [text for _, text in lines if "{" in text]
    place = lines.index(("environ", "A=1"))
    assert lines[place + 1] == ("", "B=it's")


def test_info_tells_the_reasons_of_the_session_and_its_containers() -> None:
    data = {"kernels": {"k1": {"detail": "No such image."}, "k2": {"detail": "No such image."}}}
    facts = {
        **FACTS,
        "status": "TERMINATED",
        "statusInfo": "failed-to-start",
        "statusData": data,
        "occupiedSlots": "{'cpu': '0', 'mem': '0'}",
        "terminationTime": NOW.isoformat(),
        "result": "failure",
        "exitCode": 1,
    }
    lines = [*info_lines(facts, MOVES, NOW)]
    place = lines.index(("reason", "failed-to-start"))
    assert lines[place + 1] == ("", "No such image.")
    assert ("holds", "nothing") in lines
    assert ("result", "failure, exit code 1") in lines
    assert ("status", "TERMINATED") in lines


def test_info_of_a_server_that_tells_little() -> None:
    assert ("status", "RUNNING") in [*info_lines({"status": "RUNNING"}, (), NOW)]


def test_why_of_one_that_waits_has_rule_need_have_and_nodes() -> None:
    answer = Why(status="PENDING", text="It waits.", waiting=WAITING)
    sentence, facts = why_lines(answer, MOVES[:2], NOW)
    assert sentence == "PENDING: It waits."
    assert [*facts] == [
        ("since", f"{show_moment(BEGIN.isoformat(), NOW)} (3m)"),
        ("rule", "room"),
        ("need", "cpu 2, mem 256m"),
        ("have", "cpu 1, mem 22.29g"),
        ("nodes", "not-enough-cpu: 3"),
        ("", "lost: 1"),
        ("found", f"{show_moment(str(WAITING['at']), NOW)} (3s ago)"),
    ]


def test_why_of_one_that_runs_has_since_when_and_where() -> None:
    kernels = [{"hostname": "main1", "status": "RUNNING", "agent": "i-1", "reason": None}]
    answer = Why(status="RUNNING", text="It runs.", kernels=kernels)
    _, facts = why_lines(answer, MOVES, NOW)
    assert [*facts][1:] == [("containers", "main1 RUNNING, on i-1")]
    assert [*why_lines(Why(status="PENDING"), (), NOW)[1]] == []


def test_history_is_one_line_a_move_of_the_session_with_the_time_between() -> None:
    rows = move_rows(MOVES, NOW, with_kernels=False)
    assert [row["status"] for row in rows] == ["PENDING", "SCHEDULED", "RUNNING"]
    assert [row["after"] for row in rows] == ["", "+0.25s", "+1m 5s"]
    assert [row["why"] for row in rows] == ["", "on i-1", "restarted, It ran out of memory."]


def test_history_has_the_kernels_when_asked_for() -> None:
    rows = move_rows(MOVES, NOW, with_kernels=True)
    assert [row["kernel"] for row in rows] == ["4293db87", ""] * 3


def test_a_wait_is_told_in_one_line_with_what_ctrl_c_does() -> None:
    answer = Why(status="PENDING", text="It waits: No node has room.", waiting=WAITING)
    assert waiting_text("a", answer, "Ctrl-C ends it") == (
        "a waits: No node has room for 2 cpu; Ctrl-C ends it"
    )
    fresh = Why(status="PENDING", text="It waits for the scheduler.")
    assert waiting_text("a", fresh) == "a waits: It waits for the scheduler"
    started = Why(status="PREPARING", text="Its container is being made.")
    assert waiting_text("a", started, "x") == "a is PREPARING: Its container is being made"
    assert waiting_text("a", Why(status="PULLING")) == "a is PULLING"


def test_a_short_reason_fits_a_column() -> None:
    assert short_reason({"scheduler": WAITING}) == "room: not-enough-cpu 3, lost 1"
    assert short_reason({"scheduler": {"rule": "quota"}}) == "quota"
    assert short_reason({}) == ""


@pytest.mark.parametrize(
    ("value", "mapping"),
    [
        ({"a": 1}, {"a": 1}),
        ('{"a": null}', {"a": None}),
        ("{'a': None}", {"a": None}),
        ("{}", {}),
        (None, {}),
        ("import os", {}),
        ("[1]", {}),
        ("{'a': __import__('os')}", {}),
    ],
)
def test_maps_are_read_from_each_form_of_the_wire(value: object, mapping: object) -> None:
    assert read_mapping(value) == mapping


def test_idleness_is_told_with_what_last_counted() -> None:
    last = {"at": NOW.isoformat(), "by": "execute"}
    levels = {"cpu_util": [1.25, 30.0], "mem": [None, 20.0]}
    lines = idle_lines(
        {
            "utilization": {
                "remaining": None,
                "remaining_time_type": "expire_after",
                "extra": {"resources": levels},
            },
            "network_timeout": {
                "remaining": 590,
                "remaining_time_type": "expire_after",
                "extra": {"last_activity": last},
            },
            "session_lifetime": {
                "remaining": 60,
                "remaining_time_type": "grace_period",
                "extra": None,
            },
        }
    )
    assert list(lines) == [
        ("idle", "ends in 9m 50s (network_timeout: last execute)"),
        ("", "looked at in 1m (session_lifetime)"),
        ("", "in use (utilization: cpu_util 1.25 % of 30 %, mem ? % of 20 %)"),
    ]


def test_each_mount_is_a_line() -> None:
    one = {"name": "data", "target": "/mnt/data", "permission": "ro", "vfolder_id": "cf14"}
    gone = one | {"vfolder_id": None, "subpath": "raw/a"}
    assert list(mount_lines([one, gone])) == [
        ("mounts", "data at /mnt/data (ro, cf14)"),
        ("", "data/raw/a at /mnt/data (ro, deleted since)"),
    ]
