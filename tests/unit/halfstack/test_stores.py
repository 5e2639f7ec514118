"""Which etcd is taken, and that an instance stays with it."""

import sys
from pathlib import Path

import pytest

from backendai.halfstack import stores
from backendai.halfstack.places import Layout


def _make_etcd(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    binary = folder / "etcd"
    binary.write_text(f"#!/bin/sh\necho etcd Version: {version}\n")
    binary.chmod(0o755)
    return binary


def test_the_launcher_of_our_own_environment_is_not_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = _make_etcd(tmp_path / "system", "3.4.23")
    _make_etcd(tmp_path / "venv" / "bin", "3.6.0")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setenv("PATH", f"{tmp_path}/venv/bin:{tmp_path}/system:/bin")
    assert stores.find_etcd() == (system, "")


def test_an_instance_stays_with_the_etcd_that_wrote_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path / "home")
    layout.make()
    first = _make_etcd(tmp_path / "first", "3.5.9")
    monkeypatch.setenv("PATH", f"{tmp_path}/first:/bin")
    assert stores._keep_etcd(layout) == first
    (layout.data / "etcd").mkdir()
    _make_etcd(tmp_path / "second", "3.4.23")
    monkeypatch.setenv("PATH", f"{tmp_path}/second:/bin")
    assert stores._keep_etcd(layout) == first
    first.unlink()
    assert stores._keep_etcd(layout).parent.name == "second"
