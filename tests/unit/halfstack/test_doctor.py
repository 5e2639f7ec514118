"""Findings: what stops `up`, what is installed, what a failing look at the machine becomes."""

from pathlib import Path

import pytest

from backendai.halfstack import doctor
from backendai.halfstack.config import HalfstackSettings, load_config
from backendai.halfstack.doctor import Check, Finding, Machine
from backendai.halfstack.places import Layout


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    settings: HalfstackSettings = load_config(tmp_path)
    return Machine(Layout(tmp_path / "state"), settings)


def _plant(monkeypatch: pytest.MonkeyPatch, *checks: Check) -> None:
    monkeypatch.setattr(doctor, "CHECKS", checks)


def test_a_failed_check_carries_its_fix(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    _plant(monkeypatch, Check("x", lambda _: (False, "bad"), "do y", packages=("p",)))
    assert doctor.examine(machine) == [Finding("x", False, "required", "bad", "do y", ("p",))]


def test_a_check_that_cannot_look_has_failed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(_: Machine) -> tuple[bool, str]:
        raise PermissionError(13, "no")

    _plant(monkeypatch, Check("x", look, "do y"))
    (finding,) = doctor.examine(machine)
    assert not finding.is_ok
    assert "cannot be checked" in finding.told


def test_only_required_findings_stop() -> None:
    advice = Finding("a", False, "advice", "", "f")
    assert doctor.is_sound([advice])
    assert not doctor.is_sound([advice, Finding("b", False, "required", "", "f")])


def test_packages_of_sound_checks_are_not_installed() -> None:
    findings = [
        Finding("a", True, "engine", "", "", ()),
        Finding("b", False, "engine", "", "f", ("docker.io", "tini")),
        Finding("c", False, "advice", "", "f", ("tini",)),
    ]
    assert doctor.list_missing_packages(findings) == ["docker.io", "tini"]


def test_every_check_has_a_fix_and_a_name_of_its_own() -> None:
    assert all(check.fix for check in doctor.CHECKS)
    assert len({check.name for check in doctor.CHECKS}) == len(doctor.CHECKS)


def test_a_missing_program_is_found(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    findings = {finding.name: finding for finding in doctor.examine(machine)}
    assert not findings["mmdebstrap"].is_ok
    assert "mmdebstrap" in findings["mmdebstrap"].packages
    assert not findings["dockerd"].is_ok


def test_a_small_disk_is_found(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1024

    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda place: Usage)
    findings = {finding.name: finding for finding in doctor.examine(machine)}
    assert not findings["disk"].is_ok
    assert findings["disk"].severity == "required"


def test_a_clock_of_the_past_is_found(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.time, "time", lambda: 86400.0)
    findings = {finding.name: finding for finding in doctor.examine(machine)}
    assert not findings["clock"].is_ok
