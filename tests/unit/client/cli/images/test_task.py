"""`images` and `task`, which everybody may ask for, and what programs get of them."""

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator

import pytest

from backendai.client.cli.images.task import follow_task
from backendai.client.cli.render import CLEAR_LINE
from backendai.client.client import Client
from backendai.client.config import Config
from backendai.client.tasks import TaskNews
from tests.unit.client.cli.conftest import Commands

TASK = {
    "task_id": "7",
    "status": "started",
    "message": "2 of 5",
    "current_progress": 2,
    "total_progress": 5,
    "name": "image.rescan",
    "created_at": "2026-01-01T00:00:00Z",
}


def test_progress_is_numbers_for_programs(commands: Commands) -> None:
    page = {"items": [TASK], "total_count": 1}
    commands.transport.replies["GET /background-tasks?limit=20&offset=0"] = page
    found = json.loads(commands.run("task", "list", "--output", "json").stdout)
    assert found == [TASK]
    assert " 2/5 " in commands.run("admin", "task", "list").stdout


def test_images_are_listed_for_everybody(commands: Commands) -> None:
    image = {"name": "python", "registry": "cr", "tag": "3", "architecture": "x86_64"}
    commands.transport.replies["images"] = [image]
    found = json.loads(commands.run("images", "--output", "json").stdout)
    assert [each["image"] for each in found] == ["cr/python:3"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_an_interruption_leaves_no_half_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async def follow(_task_id: str) -> AsyncIterator[TaskNews]:
        yield TaskNews("reading", 2, 5)
        raise asyncio.CancelledError

    seen = Terminal()
    monkeypatch.setattr(sys, "stderr", seen)
    monkeypatch.setenv("TERM", "xterm")
    client = Client(Config(("http://h",), "AK", "s"))
    monkeypatch.setattr(client.tasks, "follow", follow)
    with pytest.raises(asyncio.CancelledError):
        await follow_task(client, "7")
    assert seen.getvalue() == f"{CLEAR_LINE}2/5 reading{CLEAR_LINE}"


def test_a_rescan_names_its_task_before_it_follows(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stop(_client: Client, task_id: str) -> int:
        assert task_id == "7"
        return 130

    monkeypatch.setattr("backendai.client.cli.images.task.follow_task", stop)
    commands.transport.replies["rescan_images"] = {"ok": True, "msg": "", "task_id": "7"}
    done = commands.run("admin", "image", "rescan", "cr")
    assert (done.exit_code, done.stdout, done.stderr) == (130, "", "task 7\n")
