"""The migrations form one line, and the release names its end."""

from backendai.manager.db import schema
from backendai.manager.db.revision import REVISION


def test_there_is_one_head_and_the_release_names_it() -> None:
    assert schema.head_revision() == REVISION
