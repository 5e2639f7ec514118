"""`ssh`, `scp` and `ssh-config`: the programs of OpenSSH, led to a session by `app --stdio`.

The way is opened by the keypair, and the key that logs in is the session's own, read through the
API; so nothing has to be known of the session's host key but that it stays the same.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backendai.client.client import Client

USER: Final = "work"
APP: Final = "sshd"
KEY_FILE: Final = "id_container"


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("session")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS] [COMMAND]...")
def ssh(session: str, words: tuple[str, ...]) -> None:
    """Log in to SESSION, or run COMMAND in it. OPTIONS are those of ssh.

    \b
    Examples:
      backendai ssh demo
      backendai ssh demo -- nvidia-smi
      backendai ssh demo -L 6006:localhost:6006
    """
    options, command = _split(words)
    _run("ssh", session, [*options, f"{USER}@{_alias(session)}", *command])


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("session")
@click.argument(
    "paths", nargs=-1, required=True, type=click.UNPROCESSED, metavar="SOURCE... TARGET"
)
def scp(session: str, paths: tuple[str, ...]) -> None:
    """Copy files; a path that begins with `:` is in SESSION, from its home on. Also takes options
    of scp.

    \b
    Examples:
      backendai scp demo train.py :
      backendai scp demo -r :results ./results
    """
    remote = f"{USER}@{_alias(session)}"
    _run("scp", session, [f"{remote}{path}" if path.startswith(":") else path for path in paths])


@click.command("ssh-config")
@click.argument("session")
def ssh_config(session: str) -> None:
    """Print what lets ssh, and editors that use it (VS Code Remote-SSH), reach SESSION by name.

    The session's key is written below ~/.ssh/backendai. What runs ssh needs the same BACKEND_…
    variables as this command.

    \b
    Examples:
      backendai ssh-config demo >> ~/.ssh/config
      code --remote ssh-remote+backendai-demo /home/work
    """
    options = _prepare(session)
    lines = [f"Host {_alias(session)}", f"  User {USER}"]
    click.echo("\n".join([*lines, *(f"  {name} {value}" for name, value in options.items())]))


def _run(program: str, session: str, words: Sequence[str]) -> None:
    """Become `program`'s exit code."""
    import subprocess

    found = shutil.which(program)
    if found is None:
        raise click.ClickException(f"{program} is not installed: install OpenSSH's client")
    options = _prepare(session)
    if any("loglevel" in word.lower() for word in words):
        # Of two, ssh takes the first, which would be ours.
        del options["LogLevel"]
    given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    done = subprocess.run([found, *given, *words], check=False)
    raise SystemExit(done.returncode if done.returncode >= 0 else 128 - done.returncode)


def _prepare(session: str) -> dict[str, str]:
    """Options of ssh with which it reaches the session; its key is a file then."""
    from backendai.client.cli.connect import with_client

    session_id, content = with_client(lambda client: _fetch_key(client, session))
    place = Path.home() / ".ssh" / "backendai"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = place / f"{session_id}.key"
    key.touch(mode=0o600)
    key.chmod(0o600)
    key.write_bytes(content)
    program = Path(sys.argv[0])
    command = str(program.resolve()) if program.exists() else "backendai"
    proxy = shlex.join([command, "app", "--stdio", session, APP]).replace("%", "%%")
    return {**_identity(place, session_id), "ProxyCommand": proxy}


def _identity(place: Path, session_id: str) -> dict[str, str]:
    """Which key logs in, and the host key that the session had the first time. A changed one is
    refused aloud; that a new one is noted is not worth a warning for each session."""
    return {
        "HostKeyAlias": f"backendai-{session_id}",
        "IdentityFile": _quoted(str(place / f"{session_id}.key")),
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "accept-new",
        "UserKnownHostsFile": _quoted(str(place / "known_hosts")),
        "LogLevel": "ERROR",
    }


async def _fetch_key(client: Client, session: str) -> tuple[str, bytes]:
    """The session's id and its own key."""
    import asyncio
    import tempfile

    info = await client.sessions.info(session)
    with tempfile.TemporaryDirectory() as folder:
        written = await client.sessions.download(session, [KEY_FILE], destination=folder)
        content = await asyncio.to_thread(written[0].read_bytes)
    return str(info.facts.get("sessionId") or session), content


def _alias(session: str) -> str:
    return f"backendai-{session}"


def _quoted(path: str) -> str:
    return f'"{path}"' if " " in path else path


def _split(words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Options of ssh before the host, and the command behind it: what follows `--`, or the first
    word that is no option and belongs to none."""
    takes_value = set("BbcDEeFIiJLlmOopQRSWw")
    options: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "--":
        options.append(rest.pop(0))
        if len(options[-1]) == 2 and options[-1][1] in takes_value and rest:
            options.append(rest.pop(0))
    return options, rest[1:] if rest[:1] == ["--"] else rest
