"""Which words of `backendai ssh` are ssh's options, and which are the command."""

import pytest

from backendai.client.cli.apps.ssh import _split


@pytest.mark.parametrize(
    ("words", "options", "command"),
    [
        ((), [], []),
        (("ls", "-l"), [], ["ls", "-l"]),
        (("--", "-x"), [], ["-x"]),
        (("-N", "-L", "1:localhost:2"), ["-N", "-L", "1:localhost:2"], []),
        (("-L1:localhost:2", "id", "-un"), ["-L1:localhost:2"], ["id", "-un"]),
        (("-v", "--", "ls", "--", "x"), ["-v"], ["ls", "--", "x"]),
    ],
)
def test_options_come_first(words: tuple[str, ...], options: list[str], command: list[str]) -> None:
    assert _split(words) == (options, command)
