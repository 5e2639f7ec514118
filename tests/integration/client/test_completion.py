"""Completion as shells ask for it: by the real ones that are here, and by what they send."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("backendai")
SHELLS = [shell for shell in ("bash", "zsh", "fish") if shutil.which(shell)]
DEAR = {"aiohttp", "asyncio", "ssl", "msgspec", "sqlalchemy", "trafaret", "docker"}
ASK = {
    "bash": """
        source <(backendai completion bash)
        COMP_WORDS=({words}) COMP_CWORD=$(({count} - 1)) COMPREPLY=()
        _backendai_completion backendai
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """,
    "fish": "backendai completion fish | source; complete -C {line} | string split -f1 \\t",
    "zsh": """
        compdef() {{ }}; compadd() {{ print -l -- ${{(P)@[-1]}} }}
        _describe() {{ print -l -- ${{(P)3}} }}
        source <(backendai completion zsh)
        words=({words}) CURRENT={count}
        _backendai_completion
    """,
}


def environ() -> dict[str, str]:
    return {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "HOME": "/nonexistent"}


def complete(shell: str, *words: str) -> list[str]:
    """What the shell would offer for the last of `words`."""
    quoted = " ".join(shlex.quote(word) for word in words)
    script = ASK[shell].format(words=quoted, count=len(words), line=shlex.quote(" ".join(words)))
    alone = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *alone, "-c", script],
        env=environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return [line.partition(":")[0] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["acc"], ["account"]),
        (["admin", "user", "d"], ["delete"]),
        (["admin", "user", "list", "--sta"], ["--status"]),
        (["ps", "--output", ""], ["table", "json", "csv"]),
        (["nosuch", "p"], ["ps", "presets"]),
    ],
    ids=" ".join,
)
def test_shells_offer_what_goes_on(shell: str, words: list[str], offered: list[str]) -> None:
    assert complete(shell, "backendai", *words) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_asks_the_command(shell: str) -> None:
    done = subprocess.run(
        [PROGRAM, "completion", shell], env=environ(), capture_output=True, text=True, check=True
    )
    assert f"_BACKENDAI_COMPLETE={shell}_complete" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("line", ["backendai ", "backendai admin ", "backendai admin user "])
def test_completing_imports_nothing_dear(line: str) -> None:
    report = "import sys; sys.stderr.write(' '.join({n.partition('.')[0] for n in sys.modules}))"
    code = (
        "from backendai.client.cli.root import root\n"
        "try:\n    root.main([], prog_name='backendai', standalone_mode=False)\n"
        f"except SystemExit:\n    {report}"
    )
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environ(), **asked, "_BACKENDAI_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "plain," in done.stdout
    assert not set(done.stderr.split()) & DEAR


def test_an_unknown_shell_is_told_which_there_are() -> None:
    done = subprocess.run(
        [PROGRAM, "completion", "tcsh"],
        env=environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Choose among bash, zsh, fish" in done.stderr
