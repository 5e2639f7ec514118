"""The pictures of the guides: each is made by a test, shown by a page, said in words, and small."""

import re
from typing import Final

from tests.running.shots import PICTURES, PLACE

BYTES_MAX: Final = 2 * 2**20
_SHOWN: Final = re.compile(r"!\[([^\]]*)\]\(images/([^)]*)\)")


def test_every_picture_is_made_and_shown_and_told_in_words() -> None:
    shown = [
        found for page in PLACE.parent.glob("*.md") for found in _SHOWN.findall(page.read_text())
    ]
    assert all(len(words) > 4 for words, _ in shown)
    made = {f"{name}.webp" for name in PICTURES}
    assert {file for _, file in shown} == made == {path.name for path in PLACE.iterdir()}


def test_pictures_take_little_room() -> None:
    assert sum(path.stat().st_size for path in PLACE.iterdir()) < BYTES_MAX
