"""The workspace holds together: the lock, the build files and the type checker see everything."""

import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest

from tests.tidy.tree import DISTRIBUTIONS, ROOT, modules

LOCK = ROOT / "requirements.lock"


def read_project(folder: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text())


def normal(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match
    return re.sub(r"[-_.]+", "-", match.group()).lower()


def test_the_lock_names_versions_and_hashes_and_no_address() -> None:
    text = LOCK.read_text()
    assert "://" not in text
    assert not re.search(r"^--", text, re.MULTILINE)
    pins = re.findall(r"^[a-z0-9][^\s=]*==", text, re.MULTILINE)
    assert len(pins) > 50
    assert text.count("--hash=sha256:") >= len(pins)


@pytest.mark.parametrize("folder", DISTRIBUTIONS)
def test_every_dependency_is_locked(folder: str) -> None:
    locked = {normal(line) for line in LOCK.read_text().splitlines() if "==" in line}
    ours = {f"backendai-{package.split('.')[1]}" for package in DISTRIBUTIONS.values()}
    project = read_project(folder)["project"]
    extras = project.get("optional-dependencies", {}).values()
    wanted = {normal(name) for names in (project["dependencies"], *extras) for name in names}
    assert wanted <= locked | ours


def test_pages_of_a_wheel_are_built_by_the_locked_node() -> None:
    required = read_project("webserver")["build-system"]["requires"]
    (node,) = [each for each in required if each.startswith("nodejs")]
    assert f"\n{node} " in LOCK.read_text()


@pytest.mark.parametrize(("folder", "package"), DISTRIBUTIONS.items())
def test_a_distribution_depends_on_each_of_ours_that_it_imports(folder: str, package: str) -> None:
    imported = {
        f"backendai-{name.split('.')[1]}"
        for module in modules()
        if module.package == package
        for name in module.imported()
        if name.startswith("backendai.") and not name.startswith(package)
    }
    declared = {normal(name) for name in read_project(folder)["project"]["dependencies"]}
    assert imported <= declared


@pytest.mark.parametrize(("folder", "package"), DISTRIBUTIONS.items())
def test_a_distribution_is_typed_and_introduced(folder: str, package: str) -> None:
    home = ROOT / folder / package.replace(".", "/")
    assert (home / "py.typed").exists()
    assert not (ROOT / folder / "backendai/__init__.py").exists()
    readme = (ROOT / folder / "README.md").read_text()
    assert 5 <= readme.count("\n") <= 60


def test_the_type_checker_sees_every_module_and_finds_nothing() -> None:
    packages = [argument for name in DISTRIBUTIONS.values() for argument in ("-p", name)]
    result = subprocess.run(
        [sys.executable, "-m", "mypy", *packages],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    match = re.search(r"no issues found in (\d+) source files", result.stdout)
    assert match, result.stdout
    # The namespace itself counts as one source when mypy lists its portions.
    assert int(match.group(1)) >= len(modules())
