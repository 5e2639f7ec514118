"""The `backendai` command in a thread of this process: what a new process costs is tested apart."""

import asyncio
import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

from backendai.client.cli import _run
from backendai.manager.app import Manager
from tests.integration.manager.api.test_client import environ_of


class Typed(io.BytesIO):
    """What stdin has."""

    name = "<stdin>"


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    returncode: int
    stdout: str
    stderr: str


async def run_inside(manager: Manager, *words: str, name: str = "root", typed: str = "") -> Done:
    """`backendai …` with what was `typed` for stdin, as the user `name`."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "stdin", io.TextIOWrapper(Typed(typed.encode())))
        for variable, value in environ_of(manager, name).items():
            patch.setenv(variable, value)
        code = await asyncio.to_thread(_run, [*words])
    # The manager of this process logs there too.
    told = [line for line in err.getvalue().splitlines(True) if not line.startswith('{"time":')]
    return Done(code, out.getvalue(), "".join(told))
