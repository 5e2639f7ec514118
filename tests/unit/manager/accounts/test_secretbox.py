"""Secret keys at rest open only with their key and for their row."""

from pathlib import Path

import pytest
from argon2 import PasswordHasher

from backendai.common.faults import Fault, InvalidParams, ServerMisconfigured
from backendai.common.secretfile import load_secret_key, write_secret_key
from backendai.manager.accounts.fixture import check_fixture
from backendai.manager.accounts.passwords import hash_password
from backendai.manager.accounts.secretbox import SecretBox


def test_a_secret_opens_only_where_it_belongs(tmp_path: Path) -> None:
    write_secret_key(tmp_path / "key")
    box = SecretBox(load_secret_key(tmp_path / "key"))
    sealed = box.seal("AK1", "secret")
    assert box.open("AK1", sealed) == "secret"
    assert b"secret" not in sealed
    assert box.seal("AK1", "secret") != sealed
    for access_key, data in (("AK2", sealed), ("AK1", sealed[:-1] + b"x"), ("AK1", b"")):
        with pytest.raises(ServerMisconfigured):
            box.open(access_key, data)
    with pytest.raises(ServerMisconfigured):
        SecretBox(bytes(32)).open("AK1", sealed)


def test_bad_key_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / "key"
    for text, mode in (("x", 0o600), ("AAAA", 0o600), ("A" * 44, 0o644)):
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(mode)
        with pytest.raises(ServerMisconfigured, match="key"):
            load_secret_key(path)
    with pytest.raises(ServerMisconfigured):
        load_secret_key(tmp_path / "missing")
    write_secret_key(tmp_path / "new")
    with pytest.raises(FileExistsError):
        write_secret_key(tmp_path / "new")


async def test_passwords_are_kept_as_argon2id() -> None:
    stored = await hash_password("correct horse")
    assert stored.startswith("$argon2id$")
    assert stored != await hash_password("correct horse")
    assert PasswordHasher().verify(stored, "correct horse")
    for wrong in ("x" * 1025, "a\0b"):
        with pytest.raises(InvalidParams):
            await hash_password(wrong)


def test_every_mistake_of_a_fixture_is_told() -> None:
    with pytest.raises(Fault, match="fixture") as told:
        check_fixture(
            {
                "users": [{"email": "a@b", "role": "king", "colour": "red"}],
                "planets": [],
                "images": 5,
            }
        )
    facts = told.value.facts
    assert {"users[0].role", "users[0].colour", "users[0].username", "planets", "images"} <= set(
        facts
    )
