"""Migrations do tomorrow what they did when they were written, and hold up nobody who writes."""

import re
from typing import Final

import pytest

from tests.tidy.tree import Module, modules

_PLACE: Final = "backendai.manager.db.migrations.versions."
# What makes indexes without blocking; all else of ours changes with the release.
_MAY_IMPORT: Final = frozenset({"backendai.manager.db.migrations.indexes"})
_TABLE: Final = re.compile(r"CREATE TABLE (\w+)")
_INDEX: Final = re.compile(r"CREATE (?:UNIQUE )?INDEX [\s\S]*?ON (\w+)")

REVISIONS: Final = [module for module in modules() if module.name.startswith(_PLACE)]


def text_of(module: Module) -> str:
    """With the statements of a file beside it."""
    beside = module.path.with_suffix(".sql")
    return module.text + (beside.read_text() if beside.exists() else "")


def test_there_are_migrations() -> None:
    assert len(REVISIONS) > 15


@pytest.mark.parametrize("module", REVISIONS, ids=lambda module: module.name[-24:])
def test_a_migration_is_frozen_text(module: Module) -> None:
    ours = {name for name in module.imported() if name.startswith("backendai.")}
    living = {name for name in ours if not any(name.startswith(may) for may in _MAY_IMPORT)}
    assert not living, f"write out what {living} says today: it will say something else later"


@pytest.mark.parametrize("module", REVISIONS, ids=lambda module: module.name[-24:])
def test_an_index_of_a_table_that_may_have_rows_is_made_beside_writers(module: Module) -> None:
    text = text_of(module)
    blocking = set(_INDEX.findall(text)) - set(_TABLE.findall(text))
    assert not blocking, f"make indexes of {blocking} by create_indexes"
