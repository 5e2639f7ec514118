"""The files with a manager's keys: without them sealed rows stay shut and agents refuse it.

Where they go is said by this manager's settings, never by an archive.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backendai.common.faults import ServerMisconfigured
from backendai.common.rpc.curve import load_keypair
from backendai.common.secretfile import load_secret_key
from backendai.manager.accounts.secretbox import key_id
from backendai.manager.settings import ServiceSettings

from .model import RPC_KEYPAIR, SECRET_KEY, BackupRefused, Manifest


@dataclass(frozen=True, slots=True)
class StagedKey:
    """A key beside the place where it belongs; `is_new` says that nothing is there yet."""

    name: str
    draft: Path
    path: Path
    is_new: bool


def read_keys(own: ServiceSettings) -> dict[str, bytes]:
    """What the archive calls each key, and its file. Raises ServerMisconfigured for a bad one."""
    load_secret_key(own.secret_key_file)
    if own.rpc_keypair is not None:
        load_keypair(own.rpc_keypair)
    return {name: path.read_bytes() for name, path in _places(own).items()}


def read_key_id(own: ServiceSettings) -> str:
    """Which key seals rows; empty when its file is not there."""
    if not own.secret_key_file.exists():
        return ""
    return key_id(load_secret_key(own.secret_key_file)).hex()


def refuse_other_key(own: ServiceSettings, manifest: Manifest) -> None:
    """For an archive without keys: raises BackupRefused unless its rows can be opened here."""
    if SECRET_KEY in manifest.keys or not manifest.key_id:
        return
    if read_key_id(own) != manifest.key_id:
        raise BackupRefused(
            "The archive was written without secrets, and its rows are sealed with another key "
            f"than the one of [manager] secret-key-file: put that key at {own.secret_key_file}."
        )


@contextlib.contextmanager
def stage_keys(
    own: ServiceSettings, keys: Mapping[str, bytes], *, replaces: bool
) -> Iterator[list[StagedKey]]:
    """Write the keys beside their places, so that what cannot be written is known early.

    A key that is there already is left out. Raises BackupRefused for another one in its place,
    unless it `replaces`, and for what is no key. Drafts that were not placed are removed.
    """
    staged: list[StagedKey] = []
    try:
        for name, path in _places(own).items():
            if name in keys and not _has(path, keys[name]):
                if path.exists() and not replaces:
                    raise BackupRefused(
                        f"{path} is another key than the one in the archive: move it away, or "
                        "give --replace, which keeps it beside the restored one."
                    )
                staged.append(_stage(name, path, keys[name]))
        yield staged
    finally:
        for key in staged:
            key.draft.unlink(missing_ok=True)


def place_keys(staged: list[StagedKey], now: datetime) -> list[str]:
    """Put keys where they belong, and what was there aside. Returns what was done, for people."""
    told = []
    for key in staged:
        if not key.is_new:
            aside = key.path.with_name(
                f"{key.path.name}.replaced-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
            )
            key.path.replace(aside)
            told.append(f"{key.path} was another key; it is {aside.name} now")
        key.draft.replace(key.path)
        told.append(f"wrote {key.path}")
        if key.name == RPC_KEYPAIR:
            public = key.path.with_name(key.path.name + ".pub")
            public.write_text(load_keypair(key.path).public + "\n", "ascii")
            told.append(f"wrote {public}")
    return told


def unplaced_keys(own: ServiceSettings, keys: Mapping[str, bytes]) -> list[str]:
    """What the archive has and the settings name no place for."""
    return sorted(keys.keys() - _places(own).keys())


def _places(own: ServiceSettings) -> dict[str, Path]:
    rpc = {} if own.rpc_keypair is None else {RPC_KEYPAIR: own.rpc_keypair}
    return {SECRET_KEY: own.secret_key_file, **rpc}


def _has(path: Path, data: bytes) -> bool:
    return path.exists() and path.read_bytes() == data


def _stage(name: str, path: Path, data: bytes) -> StagedKey:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        staged = StagedKey(name, Path(draft), path, is_new=not path.exists())
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise BackupRefused(f"{path} cannot be written: {error.strerror}.") from error
    try:
        _check(name, staged.draft)
    except ServerMisconfigured as fault:
        staged.draft.unlink()
        raise BackupRefused(f"The archive's {name} is no key.") from fault
    return staged


def _check(name: str, path: Path) -> None:
    if name == SECRET_KEY:
        load_secret_key(path)
    else:
        load_keypair(path)
