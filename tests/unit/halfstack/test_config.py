"""`bai.toml`: every mistake at once, the environment before the file for secrets."""

from pathlib import Path

import pytest

from backendai.halfstack.config import load_config
from backendai.halfstack.faults import SetupFault


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BAI_CONFIG", "BAI_POSTGRES", "BAI_REDIS", "BAI_ETCD"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_file_all_is_ours(tmp_path: Path) -> None:
    settings = load_config(tmp_path)
    assert settings.external.postgres is None
    assert settings.engine.backend == "auto"


def test_mistakes_are_told_all_at_once(tmp_path: Path) -> None:
    text = '[engine]\nbackend = "podman"\n[manager]\nport = 99999\nprot = 1\n'
    (tmp_path / "bai.toml").write_text(text)
    with pytest.raises(SetupFault) as caught:
        load_config(tmp_path)
    for word in ("engine.backend", "podman", "process", "manager.port", "manager.prot"):
        assert word in caught.value.problem
    assert str(tmp_path / "bai.toml") in caught.value.fix


def test_what_is_not_toml_is_told(tmp_path: Path) -> None:
    (tmp_path / "bai.toml").write_text("[engine\n")
    with pytest.raises(SetupFault, match=r"bai\.toml"):
        load_config(tmp_path)


def test_external_stores_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bai.toml").write_text('[stores]\netcd = "10.0.0.1:2379"\n')
    monkeypatch.setenv("BAI_POSTGRES", "postgresql://u:password@h/db")
    external = load_config(tmp_path).external
    assert external.etcd == "10.0.0.1:2379"
    assert external.postgres == "postgresql://u:password@h/db"
    assert external.redis is None
