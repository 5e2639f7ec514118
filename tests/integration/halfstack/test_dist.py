"""`./bai dist`, and what each wheel is good for alone in an empty environment."""

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from backendai.halfstack.dist import build_wheels
from tests.running.stack import ROOT, Done, run

UV: Final = str(Path(sys.executable).with_name("uv"))
LIST_OURS: Final = """
import importlib.metadata as m
print(*sorted(d.name for d in m.distributions() if d.name.startswith("backendai")))
"""
IMPORT_ALL: Final = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for found in pkgutil.walk_packages(package.__path__, sys.argv[1] + "."):
    if "migrations" not in found.name and not found.name.endswith("__main__"):
        importlib.import_module(found.name)
print(*sorted({".".join(name.split(".")[:2]) for name in sys.modules if "backendai." in name}))
"""


@dataclass(frozen=True)
class Role:
    """A distribution, what it brings along, its package and how its daemon is started."""

    name: str
    brings: tuple[str, ...]
    package: str
    command: str
    units: tuple[str, ...]


ROLES: Final = (
    Role("manager", ("common",), "manager", "mgr", ("manager",)),
    Role("agent", ("common", "kernel"), "agent", "ag", ("agent", "watcher")),
    Role("storage-proxy", ("common",), "storage", "storage", ("storage-proxy",)),
    Role("webserver", ("common",), "webserver", "web", ("console-server",)),
    Role("wsproxy", ("common",), "wsproxy", "wsproxy", ("wsproxy",)),
)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    build_wheels(ROOT, target)
    return target


@dataclass(frozen=True)
class Installed:
    """An environment with one distribution and what that needs, far from the source tree."""

    role: Role
    venv: Path

    def python(self, code: str, *words: str) -> Done:
        return self._run(str(self.venv / "bin/python"), "-I", "-c", code, *words)

    def backendai(self, *words: str) -> Done:
        return self._run(str(self.venv / "bin/backendai"), *words)

    def _run(self, *argv: str) -> Done:
        kept = {"PATH": "/usr/bin:/bin", "HOME": str(self.venv)}
        return run([*argv], kept, cwd=self.venv)


@pytest.fixture(scope="module", params=ROLES, ids=lambda role: role.name)
def installed(
    request: pytest.FixtureRequest, wheels: Path, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    role: Role = request.param
    venv = tmp_path_factory.mktemp(role.name)
    install(venv, wheels, f"backendai-{role.name}")
    return Installed(role, venv)


def install(venv: Path, wheels: Path, *names: str) -> None:
    made = run([UV, "venv", "--clear", "--python", sys.executable, str(venv)], os.environ)
    assert made.code == 0, made.both
    chosen = ["--find-links", str(wheels), "--constraint", str(ROOT / "requirements.lock")]
    python = ["--python", str(venv / "bin/python")]
    argv = [UV, "pip", "install", "--no-verify-hashes", *python, *chosen, *names]
    done = run(argv, os.environ)
    assert done.code == 0, done.both


def digests_of(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_there_is_one_wheel_for_each_distribution(wheels: Path) -> None:
    names = {path.name.split("-")[0].removeprefix("backendai_") for path in wheels.iterdir()}
    daemons = {role.name.replace("-", "_") for role in ROLES}
    assert names == {"common", "client", "kernel", "halfstack", *daemons}


def test_a_second_build_gives_the_same_bytes_and_removes_older_wheels(
    wheels: Path, tmp_path: Path
) -> None:
    (tmp_path / "backendai_agent-0.0.1-py3-none-any.whl").touch()
    build_wheels(ROOT, tmp_path)
    assert digests_of(tmp_path) == digests_of(wheels)


def test_a_wheel_brings_nothing_of_other_roles(installed: Installed) -> None:
    role = installed.role
    found = installed.python(LIST_OURS).out.split()
    assert found == sorted(f"backendai-{name}" for name in (role.name, *role.brings))


def test_every_module_of_it_can_be_imported_alone(installed: Installed) -> None:
    role = installed.role
    done = installed.python(IMPORT_ALL, f"backendai.{role.package}")
    assert done.code == 0, done.both
    assert set(done.out.split()) <= {f"backendai.{name}" for name in (role.package, *role.brings)}


def test_its_commands_work_without_the_client(installed: Installed) -> None:
    command = installed.role.command
    assert f"bring: {command}." in installed.backendai("--help").out
    assert "start-server" in installed.backendai(command, "--help").out
    assert "--config" in installed.backendai(command, "start-server", "--help").out


def test_its_sample_is_what_it_takes_and_mistakes_are_told(installed: Installed) -> None:
    command = installed.role.command
    sample = installed.venv / "sample.toml"
    sample.write_text(installed.backendai(command, "show-config").out)
    checked = installed.backendai(command, "check-config", "-f", str(sample))
    # What has to be chosen, such as secrets, has no default.
    assert checked.code == 0 or "secret" in checked.err, checked.both
    sample.write_text('[logging]\nlevel = "LOUD"\n')
    refused = installed.backendai(command, "start-server", "-f", str(sample))
    assert refused.code == 1
    assert "LOUD" in refused.err


def test_it_brings_its_units_and_users(installed: Installed) -> None:
    folder = installed.venv / "lib/systemd/system"
    found = {path.name for path in folder.iterdir()}
    assert found == {f"backendai-{unit}.service" for unit in installed.role.units}
    assert (installed.venv / "lib/sysusers.d/backendai.conf").is_file()


def test_the_client_takes_over_the_command_where_it_is_installed(
    wheels: Path, tmp_path: Path
) -> None:
    install(tmp_path, wheels, "backendai-agent", "backendai-client")
    both = Installed(ROLES[1], tmp_path)
    text = both.backendai("--help").out
    assert "\n  session " in text
    assert "\n  ag " in text
