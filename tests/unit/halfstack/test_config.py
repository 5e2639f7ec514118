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
    monkeypatch.setenv("BAI_POSTGRES", "postgresql://u:p%40ssword@h/db")
    external = load_config(tmp_path).external
    assert external.etcd == "10.0.0.1:2379"
    assert external.postgres == "postgresql://u:p%40ssword@h/db"
    assert external.redis is None


@pytest.mark.parametrize(
    ("key", "address"),
    [
        ("postgres", "mysql://u:secret-word@h/db"),
        ("postgres", "postgresql://u:secret-word@h/db?sslmode=require"),
        ("postgres", "postgresql://u:secret-word@h"),
        ("postgres", "postgresql://h/db"),
        ("redis", "rediss://:secret-word@h"),
        ("redis", "redis://user:secret-word@h"),
        ("redis", "redis://h/zero"),
    ],
)
def test_an_address_that_would_be_misread_is_refused(
    tmp_path: Path, key: str, address: str
) -> None:
    (tmp_path / "bai.toml").write_text(f'[stores]\n{key} = "{address}"\n')
    (tmp_path / "bai.toml").chmod(0o600)
    with pytest.raises(SetupFault, match=f"stores.{key}: must be ") as caught:
        load_config(tmp_path)
    assert "secret-word" not in caught.value.problem


@pytest.mark.parametrize(
    "address", ["redis://h", "redis://h:1/2", "redis://:p%2Fq@[::1]:6379", "valkey://h/0"]
)
def test_forms_of_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("BAI_REDIS", address)
    assert load_config(tmp_path).external.redis == address


def test_etcd_of_the_environment_is_checked_and_beats_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bai.toml").write_text('[stores]\netcd = "10.0.0.1:2379"\n')
    monkeypatch.setenv("BAI_ETCD", "[::1]:2380")
    assert load_config(tmp_path).external.etcd == "[::1]:2380"
    monkeypatch.setenv("BAI_ETCD", "somewhere")
    with pytest.raises(SetupFault, match=r"\$BAI_ETCD.*etcd: must be"):
        load_config(tmp_path)
