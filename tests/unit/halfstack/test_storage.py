"""The storage proxy's files: what its settings take, with secrets that stay."""

import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from backendai.common.faults import StoreUnavailable
from backendai.common.settings.load import load_settings
from backendai.halfstack import storage as module
from backendai.halfstack.places import Layout
from backendai.halfstack.storage import (
    Storage,
    announce_storage,
    load_storage_secrets,
    write_storage_config,
)
from backendai.halfstack.stores import StoreAddresses
from backendai.storage.settings import StorageSettings


def make(root: Path) -> Storage:
    layout = Layout(root)
    layout.make()
    return Storage(layout, 6021, 6022, 9183)


def test_its_settings_are_sound_and_the_same_again(tmp_path: Path) -> None:
    storage = make(tmp_path)
    write_storage_config(storage)
    path = tmp_path / "etc" / "storage-proxy.toml"
    first = path.read_text()
    write_storage_config(storage)
    assert path.read_text() == first
    settings = load_settings(StorageSettings, "storage-proxy", path, environ={})
    assert settings.volume["volume1"].path == tmp_path / "data" / "volumes" / "volume1"
    assert settings.volume["volume1"].path.is_dir()
    assert settings.api.client.service_addr.port == 6021


def test_its_secrets_differ_and_are_the_owners(tmp_path: Path) -> None:
    one, two = load_storage_secrets(make(tmp_path / "1").layout), make(tmp_path / "2").layout
    other = load_storage_secrets(two)
    assert len({one.tokens, one.managers, other.tokens, other.managers}) == 4
    write_storage_config(make(tmp_path / "1"))
    path = tmp_path / "1" / "etc" / "storage-proxy.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    known = tomllib.loads(path.read_text())
    assert known["storage-proxy"]["secret"] == one.tokens


class BusyEtcd:
    """Misses its deadline the first times that it is asked."""

    def __init__(self, misses: int) -> None:
        self.misses = misses
        self.pairs: dict[str, str] = {"volumes/default_host": "nfs:home"}

    def __call__(self, _settings: object) -> "BusyEtcd":
        return self

    async def __aenter__(self) -> "BusyEtcd":
        return self

    async def __aexit__(self, *_error: Any) -> None:
        return

    async def get_prefix(self, _prefix: str) -> dict[str, str]:
        if self.misses:
            self.misses -= 1
            raise StoreUnavailable("etcd does not answer")
        return self.pairs

    async def put(self, key: str, value: str) -> None:
        self.pairs[key] = value


async def test_an_etcd_that_is_busy_is_told_once_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etcd = BusyEtcd(misses=2)
    monkeypatch.setattr(module, "EtcdStore", etcd)
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.0)
    addresses = StoreAddresses(postgres="", redis="", etcd="127.0.0.1:1")
    await announce_storage(make(tmp_path), addresses)
    assert etcd.pairs["volumes/proxies/local/manager_api"] == "http://127.0.0.1:6022"
    assert etcd.pairs["volumes/default_host"] == "nfs:home"
    etcd.misses = 1
    with pytest.raises(StoreUnavailable):
        await announce_storage(make(tmp_path), addresses, patience_seconds=0.0)
