"""Our own SDK and command on templates and usage, against a real manager."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backendai.client import Client, Config
from backendai.common.faults import AuthFailed, TemplateNotFound
from backendai.manager.app import Manager
from tests.integration.manager.api.scripted import ScriptedAgent
from tests.integration.manager.api.test_client import environ_of, run
from tests.integration.manager.api.test_templates import no_templates, text_of
from tests.integration.manager.api.test_usage import World, world

__all__ = ["no_templates", "world"]


async def test_who_is_no_superadmin_sees_no_bills(manager: Manager) -> None:
    async with Client(Config.from_environment(environ_of(manager, "alice"))) as alice:
        for question in (
            alice.usage.month("202401"),
            alice.usage.period("20240101", "20240102"),
            alice.usage.all_curves(),
            alice.usage.check(),
        ):
            with pytest.raises(AuthFailed):
                await question
        assert len(await alice.usage.own_curves()) == 2880


async def test_the_sdk_keeps_templates(manager: Manager, agent: ScriptedAgent, name: str) -> None:
    async with Client(Config.from_environment(environ_of(manager, "alice"))) as alice:
        [template_id] = await alice.templates.create(text_of())
        text = await alice.templates.get(template_id)
        await alice.templates.update(template_id, text.replace("name: demo", "name: other"))
        [row] = await alice.templates.list()
        assert (row.name, row.id, row.is_owner) == ("other", template_id, True)
        started = await alice.templates.start(template_id, name, {"tag": "changed"})
        assert (started.status, started.created) == ("RUNNING", True)
        assert (await alice.sessions.info(name)).facts["tag"] == "changed"
        await alice.sessions.destroy(name, forced=True)
        await alice.templates.delete(template_id)
        with pytest.raises(TemplateNotFound):
            await alice.templates.get(template_id)


async def test_the_command_keeps_templates(manager: Manager, tmp_path: Path) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text(text_of())
    made = await run(manager, "template", "add", str(file), name="alice")
    assert made.returncode == 0, made.stderr
    template_id = made.stdout.strip()
    listed = await run(manager, "template", "list", name="bob")
    assert template_id in listed.stdout
    assert "alice@example.com" in listed.stdout
    shown = await run(manager, "template", "info", template_id, name="alice")
    assert "name: demo" in shown.stdout
    refused = await run(manager, "template", "delete", template_id, "--yes", name="bob")
    assert refused.returncode == 5, refused.stderr
    file.write_text(text_of(color="red"))
    bad = await run(manager, "template", "update", template_id, str(file), name="alice")
    assert bad.returncode == 4, bad.stderr
    assert "payload.0.template.spec.color" in bad.stderr
    gone = await run(manager, "template", "delete", template_id, "--yes", name="alice")
    assert gone.returncode == 0, gone.stderr


async def test_the_command_bills(manager: Manager, world: World) -> None:
    begun = datetime(2024, 1, 1, tzinfo=UTC)
    await world.session("AKALICE", begun, 2, amounts={"cpu": "1.5"})
    await world.session("AKALICE", datetime.now(UTC) - timedelta(hours=2), 1)
    table = await run(manager, "admin", "usage", "month", "202401")
    assert table.returncode == 0, table.stderr
    head, line = table.stdout.splitlines()
    assert head.split() == ["DOMAIN", "PROJECT", "ID", "KERNELS", "CPU"]
    assert line.split()[:2] == ["default", "default"]
    assert line.split()[-2:] == ["1", "10800"]
    words = ("admin", "usage", "period", "20240101", "20240101")
    project_id = line.split()[2]
    told = await run(manager, *words, "--project", project_id, "--kernels", "--output", "json")
    [kernel] = json.loads(told.stdout)
    assert (kernel["email"], kernel["used_time"]) == ("alice@example.com", "2:00:00")
    drifted = await run(manager, "admin", "usage", "check")
    assert (drifted.returncode, drifted.stdout) == (0, "Nothing differs.\n")
    curves = await run(manager, "usage", name="alice")
    assert "NUM SESSIONS" in curves.stdout
