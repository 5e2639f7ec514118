"""Keys go where the settings say, never over another one without leave."""

import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backendai.common.rpc.curve import generate_keypair, load_keypair, save_keypair
from backendai.common.secretfile import write_secret_key
from backendai.manager.backup import keys
from backendai.manager.backup.model import BackupRefused, Manifest
from backendai.manager.settings import ServiceSettings

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def own(tmp_path: Path) -> ServiceSettings:
    folder = tmp_path / "old"
    folder.mkdir()
    write_secret_key(folder / "secret")
    save_keypair(folder / "rpc", generate_keypair())
    return replace(ServiceSettings(), secret_key_file=folder / "secret", rpc_keypair=folder / "rpc")


@pytest.fixture
def other(tmp_path: Path) -> ServiceSettings:
    """Settings of a machine that has no keys yet."""
    folder = tmp_path / "new"
    return replace(ServiceSettings(), secret_key_file=folder / "secret", rpc_keypair=folder / "rpc")


def put(own: ServiceSettings, found: dict[str, bytes], *, replaces: bool = False) -> list[str]:
    with keys.stage_keys(own, found, replaces=replaces) as staged:
        return keys.place_keys(staged, NOW)


def manifest_of(key_id: str, *names: str) -> Manifest:
    sums = {f"keys/{name}": "" for name in names}
    return Manifest(
        format=1,
        release="",
        revision="",
        taken_at=NOW,
        namespace="",
        key_id=key_id,
        tables=[],
        sums=sums,
    )


def test_keys_come_back_with_their_public_half(
    own: ServiceSettings, other: ServiceSettings
) -> None:
    found = keys.read_keys(own)
    assert sorted(found) == ["rpc-keypair", "secret-key"]
    folder = other.secret_key_file.parent
    assert put(other, found) == [f"wrote {folder / name}" for name in ("secret", "rpc", "rpc.pub")]
    assert keys.read_keys(other) == found
    assert stat.S_IMODE(other.secret_key_file.stat().st_mode) == 0o600
    assert (folder / "rpc.pub").read_text().strip() == load_keypair(folder / "rpc").public
    assert put(other, found) == []
    assert sorted(file.name for file in folder.iterdir()) == ["rpc", "rpc.pub", "secret"]


def test_another_key_is_kept_aside_and_only_with_leave(
    own: ServiceSettings, other: ServiceSettings
) -> None:
    path = other.secret_key_file
    path.parent.mkdir()
    write_secret_key(path)
    before, found = path.read_bytes(), keys.read_keys(own)
    with pytest.raises(BackupRefused, match=r"secret is another key .* --replace"):
        put(other, found)
    assert [file.name for file in path.parent.iterdir()] == ["secret"]
    put(other, found, replaces=True)
    assert keys.read_keys(other) == found
    assert path.with_name("secret.replaced-20260131T120000Z").read_bytes() == before


def test_drafts_that_are_not_placed_are_removed(
    own: ServiceSettings, other: ServiceSettings
) -> None:
    with (
        pytest.raises(RuntimeError),
        keys.stage_keys(other, keys.read_keys(own), replaces=False),
    ):
        raise RuntimeError
    assert list(other.secret_key_file.parent.iterdir()) == []


def test_what_is_no_key_is_refused(other: ServiceSettings) -> None:
    with pytest.raises(BackupRefused, match="secret-key is no key"):
        put(other, {"secret-key": b"short"})
    assert list(other.secret_key_file.parent.iterdir()) == []


def test_a_key_without_a_place_is_left_out(own: ServiceSettings, other: ServiceSettings) -> None:
    bare = replace(other, rpc_keypair=None)
    found = keys.read_keys(own)
    assert keys.unplaced_keys(bare, found) == ["rpc-keypair"]
    assert len(put(bare, found)) == 1


def test_rows_that_cannot_be_opened_here_are_refused(
    own: ServiceSettings, other: ServiceSettings
) -> None:
    key_id = keys.read_key_id(own)
    keys.refuse_other_key(own, manifest_of(key_id))
    keys.refuse_other_key(other, manifest_of(key_id, "secret-key"))
    keys.refuse_other_key(other, manifest_of(""))
    with pytest.raises(BackupRefused, match="put that key at"):
        keys.refuse_other_key(other, manifest_of(key_id))
    other.secret_key_file.parent.mkdir()
    write_secret_key(other.secret_key_file)
    with pytest.raises(BackupRefused, match="sealed with another key"):
        keys.refuse_other_key(other, manifest_of(key_id))
