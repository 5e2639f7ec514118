"""The storage proxy's files: what its settings take, with secrets that stay."""

import stat
import tomllib
from pathlib import Path

from backendai.common.settings.load import load_settings
from backendai.halfstack.places import Layout
from backendai.halfstack.storage import Storage, load_storage_secrets, write_storage_config
from backendai.storage.settings import StorageSettings


def make(root: Path) -> Storage:
    layout = Layout(root)
    layout.make()
    return Storage(layout, 6021, 6022)


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
