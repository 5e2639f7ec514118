"""The template and usage commands of the official client, against a manager of this process."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conformance.test_account_commands import Ask, Command, ask, client, command
from tests.integration.manager.api.conftest import agent, manager, module_dir, settings
from tests.integration.manager.api.scripted import IMAGES, ScriptedAgent
from tests.integration.manager.api.test_templates import no_templates, text_of
from tests.integration.manager.api.test_usage import World, world

__all__ = [
    "agent",
    "ask",
    "client",
    "command",
    "manager",
    "module_dir",
    "no_templates",
    "settings",
    "world",
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "tpl.yaml"
    made.write_text(text_of())
    return made


def write(file: Path, text: str) -> None:
    file.write_text(text)


def id_in(text: str) -> str:
    found = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)
    assert found, text
    return found[0]


@pytest.mark.timeout(300)
async def test_session_templates(command: Command, file: Path) -> None:
    assert "There is no task templates" in await command("session-template", "list")
    told = await command("session-template", "create", "-f", str(file))
    assert "created and ready" in told
    template_id = id_in(told)
    listed = await command("sesstpl", "list")
    assert template_id in listed
    assert "demo" in listed
    shown = await command("sesstpl", "get", template_id)
    assert f"image: {IMAGES[0]}" in shown
    write(file, shown.replace("name: demo", "name: renamed"))
    assert "updated" in await command("sesstpl", "update", template_id, "-f", str(file))
    assert "renamed" in await command("sesstpl", "list", "-a")
    assert "deleted" in await command("sesstpl", "delete", "-f", template_id)
    told = await command("sesstpl", "get", template_id, code=1)
    assert "No such task template" in told
    write(file, "template: {}\n")
    told = await command("sesstpl", "create", "-f", str(file), code=1)
    assert "payload.0.template.spec" in told


@pytest.mark.timeout(300)
async def test_sessions_from_templates(command: Command, file: Path, agent: ScriptedAgent) -> None:
    template_id = id_in(await command("sesstpl", "create", "-f", str(file)))
    told = await command("session", "create-from-template", "-t", "mysess01", template_id)
    assert "is created and ready" in told
    more = ("--image", IMAGES[0], "--no-env", "--no-mount", "-r", "cpu=1", "-r", "mem=256m")
    told = await command("start-from-template", "-t", "mysess02", *more, template_id)
    assert "is created and ready" in told
    await command("session", "destroy", "-f", "mysess01", "mysess02")


@pytest.mark.timeout(300)
async def test_usage(command: Command, world: World) -> None:
    await world.session("AKALICE", datetime(2024, 1, 1, tzinfo=UTC), 2)
    project_id = await world.project()
    told = await command("admin", "resource", "recalculate-usage")
    assert "Resource allocation is re-calculated." in told
    told = await command("admin", "resource", "usage-per-month", "202401", project_id)
    assert f"Group: default ({project_id})" in told
    assert "Total Allocated: 1.5 core(s) / 1073741824 mem (bytes)" in told
    assert "GPU Devices: ['cuda']" in told
    assert "Duration: 1 day(s) (2024-01-01T00:00:00+00:00 ~ 2024-01-01T02:00:00+00:00)" in told
    period = ("admin", "resource", "usage-per-period", project_id)
    assert f"Group: default ({project_id})" in await command(*period, "20240101", "20240102")
    told = await command(*period, "20230101", "20230102")
    assert "No usage information during the period." in told


@pytest.mark.timeout(300)
async def test_curves_of_the_sdk(ask: Ask) -> None:
    found = await ask(
        user_monthly="len(session.Resource.user_monthly_stats())",
        admin_monthly="len(session.Resource.admin_monthly_stats())",
    )
    assert found == {"user monthly": 2880, "admin monthly": 2880}
