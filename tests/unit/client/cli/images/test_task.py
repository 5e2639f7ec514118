"""`images` and `task`, which everybody may ask for, and what programs get of them."""

import json

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
