"""Key pairs: kept where only their owner reads them, and refused when they are not sound."""

from pathlib import Path

import pytest

from backendai.common.faults import ServerMisconfigured
from backendai.common.rpc.curve import (
    ensure_keypair,
    generate_keypair,
    is_public_key,
    load_keypair,
    save_keypair,
)


def test_a_pair_is_read_as_it_was_saved(tmp_path: Path) -> None:
    pair, path = generate_keypair(), tmp_path / "keys" / "agent.key"
    save_keypair(path, pair)
    assert load_keypair(path) == pair
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["agent.key"]


def test_a_pair_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = ensure_keypair(path)
    assert ensure_keypair(path) == first
    with pytest.raises(FileExistsError):
        save_keypair(path, generate_keypair())
    assert load_keypair(path) == first


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    save_keypair(path, generate_keypair())
    path.chmod(0o640)
    with pytest.raises(ServerMisconfigured, match="chmod 600"):
        load_keypair(path)


@pytest.mark.parametrize("text", ["", "x", "a" * 40, "a\nb\n", f"{'a' * 40}\n{'b' * 39}\n", "é"])
def test_a_file_that_holds_no_pair_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_text(text, "utf-8")
    with pytest.raises(ServerMisconfigured, match=str(path)):
        load_keypair(path)


def test_halves_of_two_pairs_are_refused(tmp_path: Path) -> None:
    path, one, two = tmp_path / "key", generate_keypair(), generate_keypair()
    path.touch(0o600)
    path.write_text(f"{one.public}\n{two.secret}\n")
    with pytest.raises(ServerMisconfigured, match="does not belong"):
        load_keypair(path)


def test_a_missing_file_is_a_clear_fault(tmp_path: Path) -> None:
    with pytest.raises(ServerMisconfigured, match="No such file"):
        load_keypair(tmp_path / "none")


def test_a_secret_key_is_not_shown() -> None:
    pair = generate_keypair()
    assert pair.secret not in repr(pair)
    assert is_public_key(pair.public)
    assert not is_public_key(pair.public + "a")
