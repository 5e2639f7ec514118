"""Passwords on a command line: never an argument, which every process could read."""

import os
import sys

import click


def make_password() -> str:
    """One that nobody guesses: 128 bits."""
    import secrets

    return secrets.token_urlsafe(16)


def read_password(variable: str | None, what: str, *, is_new: bool = False) -> str:
    """From an environment variable, else asked for unseen, else a line of stdin. Raises
    UsageError when it is empty; a new one is asked for twice on a terminal."""
    if variable is not None:
        text = os.environ.get(variable, "")
        problem = f"The environment variable {variable} is not set or empty."
    elif sys.stdin.isatty():
        text = click.prompt(what, hide_input=True, confirmation_prompt=is_new, err=True)
        problem = f"{what}: it may not be empty."
    else:
        text = sys.stdin.readline().rstrip("\r\n")
        problem = f"{what}: write it as a line of stdin, or name an environment variable."
    if not text:
        raise click.UsageError(problem)
    return str(text)
