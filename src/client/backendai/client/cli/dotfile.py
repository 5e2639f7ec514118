"""`dotfile`: small files for the homes of sessions."""

from typing import TYPE_CHECKING, Any, Final

import click

from backendai.client.cli.accounts.options import add_options
from backendai.client.cli.consent import ask_consent, yes_option
from backendai.client.cli.lazy import LazyGroup
from backendai.client.cli.options import output_option, read_script
from backendai.client.cli.render import Output, show_rows

if TYPE_CHECKING:
    from backendai.client.dotfiles import Owner

_HERE: Final = "backendai.client.cli.dotfile"

dotfile = LazyGroup(
    "dotfile",
    {
        "list": (f"{_HERE}:list_all", "List dotfiles."),
        "get": (f"{_HERE}:get", "Print a dotfile."),
        "add": (f"{_HERE}:add", "Keep a file as a new dotfile."),
        "update": (f"{_HERE}:update", "Replace a dotfile."),
        "delete": (f"{_HERE}:delete", "Delete a dotfile."),
        "bootstrap": (f"{_HERE}:bootstrap", "Show or set what your sessions run first."),
    },
    help="""Small files that each new session finds in its home.

    They are your keypair's, or with --domain or --project those of all of it.

    \b
    Examples:
      backendai dotfile add .bashrc ~/.bashrc
      backendai dotfile list
      backendai dotfile get .bashrc
    """,
)

_owner = add_options(
    click.option(
        "--owner",
        "access_key",
        metavar="ACCESS_KEY",
        help="Those of another of your keypairs, or of a user's.",
    ),
    click.option("--domain", help="Those of a domain."),
    click.option("--project", help="Those of a project, by id, or by name with --domain."),
)
_permission = click.option(
    "--permission", default="644", show_default=True, help="Three octal digits."
)


def _read_owner(owner: dict[str, Any]) -> "Owner":
    from backendai.client.dotfiles import Owner

    return Owner(**owner)


@click.command("list")
@_owner
@output_option
def list_all(output: Output, **owner: Any) -> None:
    """List dotfiles.

    Example: backendai dotfile list --output json
    """
    from backendai.client.cli.connect import with_client

    whose = _read_owner(owner)
    files = with_client(lambda client: client.dotfiles.list(whose))
    if not files and output == "table":
        click.echo("No dotfiles.", err=True)
        return
    rows = [
        {
            "path": file.path,
            "permission": file.permission,
            "size": len(file.data.encode()),
            "data": file.data,
        }
        for file in files
    ]
    seen = ("path", "permission", "size")
    show_rows(rows, seen if output == "table" else (*seen, "data"), output)


@click.command()
@click.argument("path")
@_owner
def get(path: str, **owner: Any) -> None:
    """Print the dotfile PATH.

    Example: backendai dotfile get .bashrc
    """
    from backendai.client.cli.connect import with_client

    whose = _read_owner(owner)
    click.echo(with_client(lambda client: client.dotfiles.get(path, whose)).data, nl=False)


@click.command()
@click.argument("path")
@click.argument("file", type=click.File("rb"))
@_permission
@_owner
def add(path: str, file: Any, permission: str, **owner: Any) -> None:
    """Keep FILE (- is stdin) as the new dotfile PATH.

    Example: backendai dotfile add .config/pip.conf pip.conf --permission 600
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.dotfiles import Dotfile

    whose = _read_owner(owner)
    made = Dotfile(path, read_script(file.name, file.read()), permission)
    with_client(lambda client: client.dotfiles.add(made, whose))


@click.command()
@click.argument("path")
@click.argument("file", type=click.File("rb"))
@_permission
@_owner
def update(path: str, file: Any, permission: str, **owner: Any) -> None:
    """Replace the dotfile PATH by FILE (- is stdin).

    Example: backendai dotfile update .bashrc ~/.bashrc
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.dotfiles import Dotfile

    whose = _read_owner(owner)
    made = Dotfile(path, read_script(file.name, file.read()), permission)
    with_client(lambda client: client.dotfiles.replace(made, whose))


@click.command()
@click.argument("path")
@yes_option
@_owner
def delete(path: str, is_sure: bool, **owner: Any) -> None:
    """Delete the dotfile PATH. Sessions that run keep theirs.

    Example: backendai dotfile delete .bashrc --yes
    """
    from backendai.client.cli.connect import with_client

    whose = _read_owner(owner)
    ask_consent(f"Delete {path}?", is_sure=is_sure)
    with_client(lambda client: client.dotfiles.delete(path, whose))


@click.command()
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--clear", "is_cleared", is_flag=True, help="Run nothing first any more.")
def bootstrap(file: Any, is_cleared: bool) -> None:
    """Print the shell script that sessions of your keypair run first, or set it from FILE.

    Example: backendai dotfile bootstrap setup.sh
    """
    from backendai.client.cli.connect import with_client

    if file is not None and is_cleared:
        raise click.UsageError("Give FILE or --clear, not both.")
    if file is None and not is_cleared:
        click.echo(with_client(lambda client: client.dotfiles.bootstrap_script()), nl=False)
        return
    script = "" if file is None else read_script(file.name, file.read())
    with_client(lambda client: client.dotfiles.set_bootstrap_script(script))
