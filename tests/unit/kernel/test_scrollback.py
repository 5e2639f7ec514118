"""What a terminal keeps of its output."""

from backendai.kernel.apps.scrollback import Scrollback


def test_all_is_kept_while_it_is_little() -> None:
    scrollback = Scrollback(100)
    scrollback.add(b"half a line")
    assert scrollback.read() == b"half a line"


def test_only_the_last_whole_lines_are_kept() -> None:
    scrollback = Scrollback(100)
    for number in range(100):
        scrollback.add(b"line %03d\n" % number)
    kept = scrollback.read()
    assert 90 <= len(kept) <= 100
    assert kept.startswith(b"line ")
    assert kept.endswith(b"line 099\n")
    scrollback.add(b"more")
    assert scrollback.read() == kept + b"more" or len(kept + b"more") > 100


def test_it_never_grows_beyond_twice_its_size() -> None:
    scrollback = Scrollback(100)
    for _ in range(50):
        scrollback.add(b"x" * 77)
        assert len(scrollback._data) <= 200
