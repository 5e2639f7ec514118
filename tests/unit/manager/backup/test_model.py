"""Which archives can be used: what their manifests may say, and for which tables and releases."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from backendai.manager.backup import model
from backendai.manager.backup.model import BackupRefused, Counter, Manifest, TableEntry
from backendai.manager.backup.rows import LEFT_OUT, list_tables
from backendai.manager.db.revision import REVISION, Schema
from backendai.manager.db.schema import known_revisions
from backendai.manager.db.tables import metadata

MANIFEST = Manifest(
    format=model.FORMAT,
    release="1",
    revision=REVISION,
    taken_at=datetime(2026, 1, 31, tzinfo=UTC),
    namespace="local",
    key_id="",
    tables=[
        TableEntry("domains", ["name"], 3, 2, {}),
        TableEntry("history", ["id"], 0, 0, {"id": Counter(7, True)}),
    ],
    sums={
        "etcd.json": "a",
        "keys/secret-key": "b",
        "tables/domains/000001": "c",
        "tables/domains/000002": "d",
    },
)


def test_every_table_comes_after_all_that_it_refers_to() -> None:
    names = [table.name for table in list_tables()]
    assert sorted([*names, *LEFT_OUT]) == sorted(metadata.tables)
    for table in list_tables():
        for reference in table.foreign_keys:
            target = reference.column.table.name
            assert target == table.name or names.index(target) < names.index(table.name)


def test_no_table_refers_to_one_that_is_left_out() -> None:
    for table in list_tables():
        assert not {key.column.table.name for key in table.foreign_keys} & LEFT_OUT


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert model.decode_manifest(msgspec.json.encode(MANIFEST)) == MANIFEST
    assert (MANIFEST.rows, MANIFEST.keys) == (3, ["secret-key"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 2}, "of format 2, this release reads 1"),
        ({"format": "new"}, "cannot be read"),
        ({"taken_at": "noon"}, "cannot be read"),
        ({"sums": {}}, "contradicts itself"),
        ({"sums": {**MANIFEST.sums, "tables/domains/000003": "e"}}, "contradicts itself"),
        ({"tables": []}, "contradicts itself"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(change: dict[str, Any], told: str) -> None:
    data = {**msgspec.to_builtins(MANIFEST), **change}
    with pytest.raises(BackupRefused, match=told):
        model.decode_manifest(msgspec.json.encode(data))


def test_bytes_that_are_no_manifest_are_refused() -> None:
    with pytest.raises(BackupRefused, match="cannot be read"):
        model.decode_manifest(b"\x00{")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"a": "1", "b": "2"}, ""),
        ({"a": "1"}, "b is missing"),
        ({"a": "1", "b": "3"}, "b has changed"),
        ({"a": "1", "b": "2", "c": "3"}, "c does not belong there"),
    ],
)
def test_damage_is_found(found: dict[str, str], told: str) -> None:
    assert model.find_damage({"a": "1", "b": "2"}, found) == told


def test_an_archive_of_a_newer_release_says_what_to_do() -> None:
    known = known_revisions()
    assert known[0] == "0001"
    assert known[-1] == REVISION
    for revision in known:
        model.refuse_revision(revision, known)
    with pytest.raises(BackupRefused, match=r"9999, this release knows 0001 to .* or a newer one"):
        model.refuse_revision("9999", known)


def test_a_database_of_another_release_is_refused() -> None:
    model.refuse_target(None, "0008")
    model.refuse_target(Schema("0008", "0007"), "0008")
    with pytest.raises(BackupRefused, match=r"The database is at revision 0007.* schema upgrade"):
        model.refuse_target(Schema("0007", "0007"), "0008")
    for oldest in ("0008", "0009"):
        with pytest.raises(BackupRefused, match="with the program of the release") as caught:
            model.refuse_target(Schema("0009", oldest), "0008")
        assert "upgrade" not in str(caught.value)


def test_what_is_not_empty_is_named() -> None:
    model.refuse_filled([], "etcd has keys")
    with pytest.raises(BackupRefused, match=r"etcd has keys \(a, b\): .* --replace"):
        model.refuse_filled(["b", "a"], "etcd has keys")
    with pytest.raises(BackupRefused, match=r"7, …\)"):
        model.refuse_filled(map(str, range(9)), "etcd has keys")
