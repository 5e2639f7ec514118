"""The `template` group: keep what sessions are started from, and start them."""

from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, cast

import click

from backendai.client.cli.consent import ask_consent, yes_option
from backendai.client.cli.lazy import LazyGroup
from backendai.client.cli.options import output_option, read_amount, read_pair, read_script
from backendai.client.cli.render import Output, show_rows

if TYPE_CHECKING:
    from backendai.client.client import Client

_HERE: Final = "backendai.client.cli.template"

template = LazyGroup(
    "template",
    {
        "list": (f"{_HERE}:list_all", "List templates."),
        "info": (f"{_HERE}:info", "Print a template."),
        "add": (f"{_HERE}:add", "Keep templates."),
        "update": (f"{_HERE}:update", "Let a template say something else."),
        "delete": (f"{_HERE}:delete", "Delete a template."),
        "start": (f"{_HERE}:start", "Start a session from a template."),
    },
    help="""Templates in YAML or JSON, shared with the members of a project.

    \b
    Examples:
      backendai template add training.yaml
      backendai template list
      backendai template start ID --name run-1 -r cpu=4
    """,
)

Kind = Literal["session", "cluster"]
COLUMNS: Final = ("name", "id", "owner", "project", "created_at")
_cluster = click.option(
    "--cluster", "kind", flag_value="cluster", help="A template of a cluster, not of a session."
)
_owner = click.option("--owner", metavar="ACCESS_KEY", help="Act for another keypair.")
_file = click.argument("file", type=click.File("rb"))


def _read(file: BinaryIO) -> str:
    text = read_script(file.name, file.read())
    if not text.strip():
        raise click.UsageError(f"{file.name} is empty: `backendai template add --help` has one.")
    return text


@click.command()
@_file
@click.option("--project", help="Project that it is shared with.")
@click.option("--domain", help="Domain of the project.")
@_owner
@_cluster
def add(
    file: BinaryIO, project: str | None, domain: str | None, owner: str | None, kind: str | None
) -> None:
    """Keep the templates in FILE (`-` is stdin), and print their ids.

    \b
    Example: backendai template add training.yaml --project vision
      api_version: "6"
      kind: task_template
      metadata:
        name: training
      spec:
        kernel:
          image: cr.example.com/stable/python:3.11
          environ: {EPOCHS: "10"}
        resources: {cpu: "4", mem: 16g}
    """
    from backendai.client.cli.connect import with_client

    payload = _read(file)
    made = with_client(
        lambda client: client.templates.create(
            payload, kind=_kind(kind), project=project, domain=domain, owner_access_key=owner
        )
    )
    click.echo("\n".join(made))


@click.command("list")
@click.option("--all", "-a", "of_all", is_flag=True, help="Of everybody whom you administer.")
@_cluster
@output_option
def list_all(of_all: bool, kind: str | None, output: Output) -> None:
    """List own templates and those of own projects.

    Example: backendai template list --output json
    """
    from backendai.client.cli.connect import with_client

    found = with_client(lambda client: client.templates.list(kind=_kind(kind), of_all=of_all))
    if not found and output == "table":
        click.echo("No templates.", err=True)
        return
    rows = [
        {
            "name": one.name,
            "id": one.id,
            "owner": one.user_email,
            "project": one.group_name,
            "created_at": one.created_at,
        }
        for one in found
    ]
    show_rows(rows, COLUMNS, output)


@click.command()
@click.argument("template_id", metavar="ID")
@_owner
@_cluster
def info(template_id: str, owner: str | None, kind: str | None) -> None:
    """Print a template as YAML, as `update` takes it again.

    Example: backendai template info 4f1c5c1e-8a3b-4f5e-9d57-0c1b2a3d4e5f > training.yaml
    """
    from backendai.client.cli.connect import with_client

    text = with_client(
        lambda client: client.templates.get(template_id, kind=_kind(kind), owner_access_key=owner)
    )
    click.echo(text, nl=False)


@click.command()
@click.argument("template_id", metavar="ID")
@_file
@_owner
@_cluster
def update(template_id: str, file: BinaryIO, owner: str | None, kind: str | None) -> None:
    """Let a template say what FILE says.

    Example: backendai template update 4f1c5c1e-8a3b-4f5e-9d57-0c1b2a3d4e5f training.yaml
    """
    from backendai.client.cli.connect import with_client

    payload = _read(file)
    with_client(
        lambda client: client.templates.update(
            template_id, payload, kind=_kind(kind), owner_access_key=owner
        )
    )


@click.command()
@click.argument("template_id", metavar="ID")
@yes_option
@_owner
@_cluster
def delete(template_id: str, is_sure: bool, owner: str | None, kind: str | None) -> None:
    """Delete a template; sessions that were started from it stay.

    Example: backendai template delete 4f1c5c1e-8a3b-4f5e-9d57-0c1b2a3d4e5f
    """
    from backendai.client.cli.connect import with_client

    ask_consent(f"Delete template {template_id}?", is_sure=is_sure)
    with_client(
        lambda client: client.templates.delete(
            template_id, kind=_kind(kind), owner_access_key=owner
        )
    )


@click.command()
@click.argument("template_id", metavar="ID")
@click.option("--name", "-t", help="Name of the session. Default: a new one.")
@click.option("--image", "-i", help="Another image than the template's.")
@click.option(
    "-r", "--resource", "resources", type=read_amount, multiple=True, metavar="SLOT=AMOUNT"
)
@click.option("-e", "--env", "environ", type=read_pair, multiple=True, metavar="NAME=VALUE")
@click.option("--startup-command", "-c", help="Another command of a batch session.")
@click.option("--enqueue-only", is_flag=True, help="Do not wait until it runs.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table")
def start(template_id: str, **options: Any) -> None:
    """Start a session from a template and wait until it runs.

    What is given here stands for what the template says, also all of its resources or variables.

    Example: backendai template start 4f1c5c1e-8a3b-4f5e-9d57-0c1b2a3d4e5f --name run-1 -r cpu=4
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.create import new_name, tell_created, watch

    changes = _changes(options)

    async def work(client: "Client") -> int:
        name = options["name"] or new_name()
        creation = client.templates.start(template_id, name, changes)
        created = await watch(client, name, creation)
        return await tell_created(client, created, options["output"])

    click.get_current_context().exit(with_client(work))


def _changes(options: dict[str, Any]) -> dict[str, Any]:
    config = {
        "resources": dict(options["resources"]) or None,
        "environ": dict(options["environ"]) or None,
    }
    given = {
        "image": options["image"],
        "startupCommand": options["startup_command"],
        "enqueueOnly": options["enqueue_only"] or None,
        "config": {key: value for key, value in config.items() if value} or None,
    }
    return {key: value for key, value in given.items() if value is not None}


def _kind(given: str | None) -> Kind:
    return cast(Kind, given or "session")
