"""`completion`: what makes a shell complete `backendai`, command by command as the words go on."""

from typing import Final

import click

from backendai.client.cli.lazy import LazyGroup

# The shell asks `backendai` itself, with this set to `<shell>_complete`.
VARIABLE: Final = "_BACKENDAI_COMPLETE"
_HERE: Final = "backendai.client.cli.completion"

completion = LazyGroup(
    "completion",
    {
        "bash": (f"{_HERE}:bash", "For bash 4.4 and later."),
        "zsh": (f"{_HERE}:zsh", "For zsh."),
        "fish": (f"{_HERE}:fish", "For fish."),
    },
    help="""Print what makes a shell complete commands and options of backendai.

    \b
    Examples:
      backendai completion bash > ~/.local/share/bash-completion/completions/backendai
      eval "$(backendai completion bash)"
      backendai completion fish > ~/.config/fish/completions/backendai.fish
    """,
)


@click.command()
def bash() -> None:
    """Print the completion of bash.

    Example: eval "$(backendai completion bash)"
    """
    click.echo(write_script("bash"))


@click.command()
def zsh() -> None:
    """Print the completion of zsh; `compinit` must have run before.

    Example: eval "$(backendai completion zsh)"
    """
    click.echo(write_script("zsh"))


@click.command()
def fish() -> None:
    """Print the completion of fish.

    Example: backendai completion fish > ~/.config/fish/completions/backendai.fish
    """
    click.echo(write_script("fish"))


def write_script(shell: str) -> str:
    """What the shell has to source. The shell's own version is left to it."""
    from click.shell_completion import ShellComplete, get_completion_class

    from backendai.client.cli.root import root

    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"click completes nothing in {shell}")
    return ShellComplete.source(kind(root, {}, "backendai", VARIABLE)).strip()
