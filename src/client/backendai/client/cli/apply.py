"""`apply`: make accounts and their limits as a file says, after showing what that would change."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click

from backendai.client.cli.consent import ask_consent, yes_option
from backendai.client.cli.options import output_option
from backendai.client.cli.render import COLOURED, Output, is_terminal, show_rows

if TYPE_CHECKING:
    from backendai.client.apply.document import Ref, Wanted
    from backendai.client.apply.plan import Plan, Present, Step
    from backendai.client.client import Client

COLOURS: Final = {"+": 32, "~": 33}
COLUMNS: Final = ("action", "kind", "name", "changes", "is_done", "password")


@click.command()
@click.option(
    "--file", "-f", required=True, type=click.File("rb"), help="TOML or JSON; - is stdin."
)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@yes_option
@output_option
def apply(file: BinaryIO, dry_run: bool, is_sure: bool, output: Output) -> None:
    """Make accounts, what limits them, and resource groups as a file says.

    What the file does not name stays as it is, and no object is ever removed; a list that it names
    is as it says there. Applying it again changes nothing. A new user's password comes from the
    variable `password-env`, or is made and shown once with `generate-password`; passwords of users
    who are there are left alone.

    \b
    Example: backendai apply -f accounts.toml --dry-run
      [[keypair-policy]]
      name = "students"
      max-concurrent-sessions = 3
      [[domain]]
      name = "lab"
      total-resource-slots = {cpu = "64", mem = "256g"}
      [[project]]
      name = "vision"
      domain = "lab"
      [[user]]
      email = "ann@example.com"
      domain = "lab"
      projects = ["vision"]
      password-env = "ANN_PASSWORD"
      [[keypair]]
      user = "ann@example.com"
      resource-policy = "students"
      [[resource-group]]
      name = "gpu"
      projects = ["lab/vision"]
    """
    from backendai.client.apply.document import read_document
    from backendai.client.cli.connect import with_client

    wanted = read_document(read_data(file.name, file.read()))
    plan, present = with_client(lambda client: _plan(client, wanted))
    if output == "table" or not (dry_run or is_sure):
        _show_plan(plan, err=output != "table")
    if dry_run or not plan.steps:
        _show_steps(plan, {}, {}, output)
        return
    passwords = take_passwords(plan, os.environ)
    ask_consent("Change this?", is_sure=is_sure)
    ended: dict[Ref, bool | None] = {}
    try:
        with_client(lambda client: _carry_out(client, plan, present, passwords, ended))
    finally:
        # Also when a step went wrong: nobody else knows the passwords of those before.
        _show_steps(plan, ended, passwords, output)
        _tell_end(plan, ended)


def read_data(name: str, content: bytes) -> Any:
    """JSON where the content begins with a brace, else TOML. Raises BadDocument."""
    import tomllib

    from backendai.client.faults import BadDocument

    try:
        text = content.decode()
        return json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadDocument(f"{name} is neither TOML nor JSON: {error}") from None


def take_passwords(plan: "Plan", environ: Mapping[str, str]) -> "dict[Ref, str]":
    """Of each user that the plan creates. Raises BadDocument with all variables that are missing,
    before anything is changed."""
    from backendai.client.cli.secrecy import make_password
    from backendai.client.faults import BadDocument

    asked = {step.ref: step.password for step in plan.steps if step.password is not None}
    missing = {
        str(ref): f"the environment variable {password.variable} is not set"
        for ref, password in asked.items()
        if password.variable is not None and not environ.get(password.variable)
    }
    if missing:
        raise BadDocument(facts=missing)
    return {
        ref: make_password() if password.variable is None else environ[password.variable]
        for ref, password in asked.items()
    }


async def _plan(client: "Client", wanted: "Sequence[Wanted]") -> "tuple[Plan, Present]":
    from backendai.client.apply.plan import make_plan
    from backendai.client.apply.present import load_present

    present = await load_present(client, wanted)
    return make_plan(wanted, present), present


def _show_plan(plan: "Plan", *, err: bool) -> None:
    from backendai.client.apply.diff import plan_lines

    stream = sys.stderr if err else sys.stdout
    is_coloured = is_terminal(stream) and not os.environ.get("NO_COLOR")
    for line in plan_lines(plan):
        colour = COLOURS.get(line[:1]) if is_coloured else None
        click.echo(line if colour is None else COLOURED.format(colour, line), stream, color=True)


def _show_steps(
    plan: "Plan",
    ended: "Mapping[Ref, bool | None]",
    passwords: "Mapping[Ref, str]",
    output: Output,
) -> None:
    """All steps for programs; for people the passwords that were made."""
    from backendai.client.apply.diff import step_row

    made = {
        step.ref: passwords[step.ref]
        for step in plan.steps
        if step.ref in ended and step.password is not None and step.password.variable is None
    }
    if output == "table":
        for ref, password in made.items():
            click.echo(f"password of {ref}: {password}")
        return
    rows = [
        {
            **step_row(step),
            "is_done": ended.get(step.ref, False),
            "password": made.get(step.ref),
        }
        for step in plan.steps
    ]
    show_rows(rows, COLUMNS, output)


def _tell_end(plan: "Plan", ended: "Mapping[Ref, bool | None]") -> None:
    count = sum(is_done is True for is_done in ended.values())
    for ref in (ref for ref, is_done in ended.items() if is_done is None):
        click.echo(f"Nobody knows whether {ref.kind} {ref} was written: no answer came.", err=True)
    left = "" if count == len(plan.steps) else " Apply the file again to go on."
    click.echo(f"{count} of {len(plan.steps)} steps are done.{left}", err=True)


async def _carry_out(
    client: "Client",
    plan: "Plan",
    present: "Present",
    passwords: "Mapping[Ref, str]",
    ended: "dict[Ref, bool | None]",
) -> None:
    """Steps that are done are True in `ended`; None is one of which nobody knows."""
    from backendai.client.apply.execution import carry_out
    from backendai.client.faults import may_be_done

    def tell(step: "Step") -> None:
        ended[step.ref] = True

    try:
        await carry_out(client, plan, present, passwords, tell)
    except BaseException as error:
        if may_be_done(error):
            ended[plan.steps[len(ended)].ref] = None
        raise
