"""The frozen first revision and the tables of the code say the same."""

from pathlib import Path

from backendai.manager.db import schema
from backendai.manager.db.migrations import versions
from backendai.manager.db.revision import REVISION


def test_the_first_revision_makes_the_tables_of_this_release() -> None:
    frozen = Path(versions.__path__[0], "r0001_foundation.sql").read_text("utf-8")
    assert frozen == schema.render_tables(), (
        "write schema.render_tables() into r0001_foundation.sql while nothing is released, "
        "and a new revision after that"
    )


def test_there_is_one_head_and_the_release_names_it() -> None:
    assert schema.head_revision() == REVISION
