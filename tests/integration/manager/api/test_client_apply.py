"""`backendai apply` against a real manager."""

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backendai.client import Client, Config
from backendai.manager.app import Manager
from tests.integration.manager.api.command import Done, run_inside
from tests.integration.manager.api.test_client import environ_of

FILE = """
[[domain]]
name = "{word}"
total-resource-slots = {{cpu = "4", mem = "8g"}}

[[project]]
name = "vision"
domain = "{word}"
description = "eyes"

[[project]]
name = "speech"
domain = "{word}"

[[user]]
email = "ann-{word}@example.com"
domain = "{word}"
full-name = "Ann"
projects = ["vision", "speech"]
administers = ["vision"]
generate-password = true

[[user]]
email = "bob-{word}@example.com"
domain = "{word}"
role = "admin"
password-env = "BOB_PASSWORD"

[[keypair]]
user = "ann-{word}@example.com"
rate-limit = 500
"""


class Applied:
    """Writes a file and applies it."""

    def __init__(self, manager: Manager, folder: Path) -> None:
        self._manager, self._path = manager, folder / "accounts.toml"

    async def __call__(self, text: str, *words: str, name: str = "root", code: int = 0) -> Done:
        self._path.write_text(text)
        done = await run_inside(self._manager, "apply", "-f", str(self._path), *words, name=name)
        assert done.returncode == code, done
        return done


@pytest.fixture
def apply(manager: Manager, tmp_path: Path) -> Applied:
    return Applied(manager, tmp_path)


@pytest.fixture
async def root(manager: Manager) -> AsyncIterator[Client]:
    async with Client(Config.from_environment(environ_of(manager, "root"))) as client:
        yield client


@pytest.fixture
def word() -> str:
    return f"w{uuid.uuid4().hex[:10]}"


async def test_without_a_credential_or_with_a_wrong_one_nothing_is_planned(
    apply: Applied, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setattr("tests.integration.manager.api.command.environ_of", _wrong)
    assert "mismatch" in (await apply(FILE.format(word=word), "--yes", code=5)).stderr
    monkeypatch.setattr("tests.integration.manager.api.command.environ_of", lambda *_: {})
    for variable in ("BACKEND_ENDPOINT", "BACKEND_ACCESS_KEY", "BACKEND_SECRET_KEY"):
        monkeypatch.delenv(variable, raising=False)
    assert "Not set" in (await apply(FILE.format(word=word), "--yes", code=4)).stderr


def _wrong(manager: Manager, name: str) -> dict[str, str]:
    return {**environ_of(manager, name), "BACKEND_SECRET_KEY": "wrong"}


async def test_who_is_no_superadmin_is_refused_and_others_are_not_seen(
    apply: Applied, root: Client, word: str
) -> None:
    domain = f'[[domain]]\nname = "{word}"\n'
    assert "no permission" in (await apply(domain, "--yes", name="carol", code=5)).stderr
    project = '[[project]]\nname = "default"\ndomain = "other"\ndescription = "mine"\n'
    assert "there is no domain other" in (await apply(project, name="carol", code=4)).stderr
    assert (await root.projects.get("default", domain="other")).description != "mine"


async def test_a_tenant_is_made_once_and_then_there_is_nothing_to_change(
    apply: Applied, root: Client, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = FILE.format(word=word)
    dry = await apply(text, "--dry-run")
    assert dry.stdout.splitlines()[0] == f"+ domain {word}"
    assert dry.stdout.splitlines()[-1] == "5 to create, 1 to change, 0 as they shall be."
    assert "\x1b" not in dry.stdout
    assert await root.domains.find(word) is None
    assert "BOB_PASSWORD is not set" in (await apply(text, "--yes", code=4)).stderr
    monkeypatch.setenv("BOB_PASSWORD", "the password of bob")
    assert "give --yes" in (await apply(text, code=2)).stderr
    assert await root.domains.find(word) is None

    done = await apply(text, "--yes")
    *_, line = done.stdout.splitlines()
    assert line.startswith(f"password of ann-{word}@example.com: ")
    assert "the password of bob" not in done.stdout + done.stderr
    ann = await root.users.get(f"ann-{word}@example.com")
    assert ann.domain == word
    roles = [(each.name, each.role) for each in ann.projects]
    assert roles == [("speech", "member"), ("vision", "admin")]
    assert (await root.keypairs.get(ann.main_access_key or "")).rate_limit == 500

    assert (await apply(text, "--yes")).stdout == "Nothing to change.\n"
    assert json.loads((await apply(text, "--output", "json")).stdout) == []


async def test_what_differs_is_changed_and_the_rest_is_left_alone(
    apply: Applied, root: Client, word: str
) -> None:
    email = f"{word}@example.com"
    await root.domains.create(word, description="kept", total_resource_slots={"cpu": "1"})
    await root.projects.create("p", domain=word)
    await root.users.create(email, "secret of it", domain=word, full_name="Before")
    text = (
        f'{{"domain": [{{"name": "{word}", "total-resource-slots": {{"cpu": 2}}}}],'
        f' "user": [{{"email": "{email}", "full-name": "After", "projects": ["p"]}}]}}'
    )
    rows = json.loads((await apply(text, "--yes", "--output", "json")).stdout)
    assert [(row["action"], row["kind"], row["is_done"]) for row in rows] == [
        ("modify", "domain", True),
        ("modify", "user", True),
    ]
    assert rows[1]["changes"]["full-name"] == {"before": "Before", "after": "After"}
    domain = await root.domains.get(word)
    assert (domain.description, domain.total_resource_slots) == ("kept", {"cpu": "2"})
    assert [each.name for each in (await root.users.get(email)).projects] == ["p"]
    await root.domains.create(f"{word}-2")
    moved = f'[[user]]\nemail = "{email}"\ndomain = "{word}-2"\n'
    assert "projects  p -> (none)" in (await apply(moved, "--yes")).stdout
    assert (await apply(moved, "--yes")).stdout == "Nothing to change.\n"


async def test_a_refused_step_keeps_those_before_and_tells_their_passwords(
    apply: Applied, root: Client, word: str
) -> None:
    odd = '["nowhere"]'
    users = "".join(
        f'[[user]]\nemail = "{name}-{word}@example.com"\ngenerate-password = true\n{more}\n'
        for name, more in (("a", ""), ("b", f"allowed-client-ip = {odd}"), ("c", ""))
    )
    stopped = await apply(users, "--yes", code=4)
    assert f"password of a-{word}@example.com: " in stopped.stdout
    assert "b-" not in stopped.stdout.splitlines()[-1]
    assert "1 of 3 steps are done. Apply the file again to go on." in stopped.stderr
    again = await apply(users.replace(odd, "[]"), "--yes")
    assert "2 of 2 steps are done." in again.stderr
    assert await root.users.find(f"c-{word}@example.com") is not None


async def test_what_no_file_may_say_is_refused_before_anything_is_asked(apply: Applied) -> None:
    told = (await apply("[[users]]\n[[domain]]\nname = 1\ncolour = 2\n", code=4)).stderr
    assert "users: is no kind: there are keypair-policy, user-policy, project-policy" in told
    assert "domain[1].colour: is not known: there are name, description" in told
    assert "neither TOML nor JSON" in (await apply("a: [yaml]", code=4)).stderr
    assert (await apply("")).stdout == "Nothing to change.\n"


LIMITS = """
[[keypair-policy]]
name = "{word}"
total-resource-slots = {{cpu = "8", mem = "16g"}}
max-pending-session-count = 5
[[user-policy]]
name = "{word}"
max-quota-scope-size = "10g"
[[project-policy]]
name = "{word}"
max-vfolder-count = 7
[[preset]]
name = "{word}"
resource-slots = {{cpu = 1, mem = "1g"}}
shared-memory = "64m"
[[domain]]
name = "{word}"
[[project]]
name = "p"
domain = "{word}"
resource-policy = "{word}"
[[resource-group]]
name = "{word}"
scheduler-opts = {{placement = "dispersed", pending_timeout_seconds = 60}}
domains = ["{word}"]
projects = ["{word}/p", "default"]
"""


async def test_limits_are_made_once_and_then_there_is_nothing_to_change(
    apply: Applied, root: Client, word: str
) -> None:
    text = LIMITS.format(word=word)
    refused = await apply(text, "--yes", name="carol", code=5)
    assert "no permission" in refused.stderr
    assert "7 to create" in (await apply(text, "--dry-run")).stdout
    assert await root.presets.find(word) is None
    await apply(text, "--yes")
    assert (await apply(text, "--yes")).stdout == "Nothing to change.\n"
    policy = await root.keypair_policies.get(word)
    assert (policy.max_pending_session_count, policy.max_concurrent_sessions) == (5, 100)
    assert (await root.user_policies.get(word)).max_quota_scope_size == 10 << 30
    project = await root.projects.get("p", domain=word)
    assert (project.resource_policy, project.resource_groups) == (word, (word,))
    assert word in (await root.projects.get("default", domain="default")).resource_groups


async def test_limits_that_differ_are_changed_and_resource_groups_closed(
    apply: Applied, root: Client, word: str
) -> None:
    await apply(LIMITS.format(word=word), "--yes")
    text = (
        f'[[keypair-policy]]\nname = "{word}"\nmax-pending-session-count = -1\n'
        f'[[preset]]\nname = "{word}"\nshared-memory = 0\n'
        f'[[resource-group]]\nname = "{word}"\nis-active = false\n'
        'domains = ["default"]\nprojects = ["other/default"]\n'
    )
    told = (await apply(text, "--yes")).stdout
    assert f"domains    {word} -> default" in told
    assert f"projects   default/default, {word}/p -> other/default" in told
    assert (await apply(text, "--yes")).stdout == "Nothing to change.\n"
    assert (await root.keypair_policies.get(word)).max_pending_session_count is None
    assert (await root.presets.get(word)).shared_memory is None
    opened = [each.name for each in await root.domains.list() if word in each.resource_groups]
    assert opened == ["default"]
    opened = [each.domain for each in await root.projects.list() if word in each.resource_groups]
    assert opened == ["other"]
    nosuch = f'[[project]]\nname = "p"\ndomain = "{word}"\nresource-policy = "nosuch"\n'
    assert "no project-policy nosuch" in (await apply(nosuch, "--yes", code=4)).stderr
