"""What is gone for good is asked about in one way: only `--yes` will do where nobody is asked."""

import pytest

from tests.unit.client.cli.conftest import Commands


@pytest.mark.parametrize(
    "words",
    [
        "template delete 1",
        "dotfile delete .rc",
        "account sign-out",
        "admin registry delete cr",
        "admin image clear cr",
        "admin domain purge lab",
        "admin project purge vision",
        "admin user purge ann@x.org",
        "admin keypair delete AK",
    ],
)
def test_nobody_is_asked_through_a_pipe(commands: Commands, words: str) -> None:
    done = commands.run(*words.split(), typed="y\n")
    assert done.exit_code == 2
    assert "Nobody can be asked here: give --yes." in done.output
    assert commands.transport.asked == []


@pytest.mark.parametrize(
    ("words", "root"),
    [
        ("admin registry delete cr", "delete_container_registry"),
        ("admin image clear cr", "clear_images"),
    ],
)
def test_who_is_sure_is_not_asked(commands: Commands, words: str, root: str) -> None:
    commands.transport.replies[root] = {"ok": True, "msg": ""}
    assert commands.run(*words.split(), "-y").exit_code == 0
    assert [name for name, _ in commands.transport.asked] == [root]
