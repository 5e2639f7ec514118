"""How the secret of the relays is replaced: what signs when, what is accepted, what files say."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from backendai.common import relay_secrets
from backendai.common.clock import FakeClock
from backendai.common.faults import Conflict, ServerMisconfigured
from backendai.common.relay_secrets import (
    LOOK_SECONDS,
    FileSecrets,
    RelaySecret,
    read_secrets,
    rotated,
    signing_of,
    write_secrets,
)
from backendai.common.secretfile import load_secret_key, write_secret_key

OLD, NEW, NEXT = (bytes([n]) * 32 for n in range(3))
LEAD = timedelta(seconds=120)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """As it is made at first: one key and no time."""
    write_secret_key(tmp_path / "relay.secret")
    return tmp_path / "relay.secret"


def test_a_file_with_one_key_is_what_it_was(path: Path) -> None:
    assert read_secrets(path) == (RelaySecret(load_secret_key(path)),)


def test_the_new_key_is_accepted_before_it_signs_and_the_old_one_after(clock: FakeClock) -> None:
    now = clock.now()
    both = rotated((RelaySecret(OLD),), NEW, now, LEAD)
    assert {secret.key for secret in both} == {OLD, NEW}
    assert signing_of(both, now + LEAD - timedelta(seconds=2)).key == OLD
    assert signing_of(both, now + LEAD).key == NEW
    # The one before the present one is dropped by the next rotation alone.
    assert [one.key for one in rotated(both, NEXT, now + LEAD, LEAD)] == [NEW, NEXT]


def test_a_key_that_waits_is_not_overtaken(clock: FakeClock) -> None:
    both = rotated((RelaySecret(OLD),), NEW, clock.now(), LEAD)
    with pytest.raises(Conflict, match="waiting"):
        rotated(both, NEXT, clock.now(), LEAD)


def test_what_is_written_is_read_and_stays_private(path: Path, clock: FakeClock) -> None:
    both = rotated(read_secrets(path), NEW, clock.now(), LEAD)
    write_secrets(path, both)
    assert read_secrets(path) == both
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [*path.parent.iterdir()] == [path]
    assert NEW.hex() not in repr(both)


@pytest.mark.parametrize(
    "line", ["", "x", f"{'A' * 44}", "{key} noon", "{key} 2026-01-01T00:00:00", "{key} {key} x"]
)
def test_a_file_that_says_something_else_is_refused(path: Path, line: str) -> None:
    path.write_text(line.format(key=path.read_text().strip()) + "\n")
    with pytest.raises(ServerMisconfigured, match="secret-key-file"):
        read_secrets(path)


def test_a_file_that_others_may_read_is_refused(path: Path) -> None:
    path.chmod(0o644)
    with pytest.raises(ServerMisconfigured, match="chmod 0600"):
        read_secrets(path)


async def test_a_running_daemon_reads_it_again(path: Path, clock: FakeClock) -> None:
    secrets = FileSecrets(path, clock)
    old = load_secret_key(path)
    write_secrets(path, rotated(read_secrets(path), NEW, clock.now(), LEAD))
    await clock.advance(LOOK_SECONDS)
    assert (secrets.signing(), set(secrets.accepted())) == (old, {old, NEW})
    await clock.advance(LEAD.total_seconds())
    assert (secrets.signing(), set(secrets.accepted())) == (NEW, {old, NEW})


async def test_a_file_that_is_replaced_while_a_daemon_begins_is_read_again(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_and_replace(path: Path) -> tuple[RelaySecret, ...]:
        found = read_secrets(path)
        write_secrets(path, rotated(found, NEW, clock.now(), LEAD))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(relay_secrets, "read_secrets", read_and_replace)
        secrets = FileSecrets(path, clock)
    await clock.advance(LOOK_SECONDS)
    assert NEW in secrets.accepted()


async def test_a_file_that_was_broken_changes_nothing(path: Path, clock: FakeClock) -> None:
    secrets = FileSecrets(path, clock)
    old = secrets.signing()
    for spoil in (lambda: path.write_text("nonsense"), path.unlink):
        spoil()
        await clock.advance(LOOK_SECONDS)
        assert secrets.accepted() == (old,)
