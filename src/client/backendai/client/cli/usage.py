"""`admin usage`: bills of projects and their check; `usage`: one's own curves."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, show_rows

if TYPE_CHECKING:
    from backendai.client.usage import Point, ProjectUsage

METRICS: Final = (
    "num_sessions",
    "cpu_allocated",
    "mem_allocated",
    "gpu_allocated",
    "io_read_bytes",
    "io_write_bytes",
    "disk_used",
)
KERNEL_COLUMNS: Final = ("project", "session", "email", "image", "used_time", "slot_seconds")


@click.command()
@click.option("--all", "-a", "of_all", is_flag=True, help="Of all users; for superadmins.")
@output_option
def curves(of_all: bool, output: Output) -> None:
    """Print what sessions held in each quarter of an hour of the last thirty days.

    A table leaves out the times when nothing ran; CSV and JSON have every point.

    Example: backendai usage --output csv
    """
    from backendai.client.cli.connect import with_client

    points = with_client(
        lambda client: client.usage.all_curves() if of_all else client.usage.own_curves()
    )
    rows = [_point(point) for point in points]
    if output == "table":
        rows = [row for row in rows if row["num_sessions"]]
    if not rows:
        click.echo(
            "Nothing is noted of the last thirty days; there is a note each quarter of an hour.",
            err=True,
        )
        return
    show_rows(rows, ("at", *METRICS), output)


@click.command()
@click.argument("month", metavar="YYYYMM")
@click.argument("project_ids", metavar="[PROJECT_ID]...", nargs=-1)
@click.option("--kernels", "of_kernels", is_flag=True, help="Each kernel, not only the sums.")
@output_option
def month(month: str, project_ids: Sequence[str], of_kernels: bool, output: Output) -> None:
    """Bill each project for a month (UTC): exact amounts times seconds.

    Example: backendai admin usage month 202601
    """
    from backendai.client.cli.connect import with_client

    _show(with_client(lambda client: client.usage.month(month, project_ids)), of_kernels, output)


@click.command()
@click.argument("start", metavar="YYYYMMDD")
@click.argument("end", metavar="YYYYMMDD")
@click.option("--project", "project_id", metavar="PROJECT_ID", help="Only this one.")
@click.option("--kernels", "of_kernels", is_flag=True, help="Each kernel, not only the sums.")
@output_option
def period(start: str, end: str, project_id: str | None, of_kernels: bool, output: Output) -> None:
    """Bill projects from one day to another, both whole (UTC).

    Example: backendai admin usage period 20260101 20260115
    """
    from backendai.client.cli.connect import with_client

    if project_id is None:
        found = with_client(lambda client: client.usage.period(start, end))
    else:
        chosen = project_id
        one = with_client(lambda client: client.usage.project(chosen, start, end))
        found = () if one is None else (one,)
    _show(found, of_kernels, output)


@click.command()
def check() -> None:
    """Compare what is allocated with what kernels should hold; fails where they differ.

    Example: backendai admin usage check
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.usage.check())
    click.echo("Nothing differs.")


def _show(found: Sequence["ProjectUsage"], of_kernels: bool, output: Output) -> None:
    if not found and output == "table":
        click.echo("Nothing was used.", err=True)
        return
    if of_kernels:
        rows = [_kernel(project, kernel) for project in found for kernel in project.kernels]
        show_rows(rows, KERNEL_COLUMNS, output)
        return
    slots = sorted({slot for project in found for slot in project.slot_seconds})
    show_rows([_project(project, slots) for project in found], (*_HEAD, *slots), output)


_HEAD: Final = ("domain", "project", "id", "kernels")


def _project(project: "ProjectUsage", slots: Sequence[str]) -> dict[str, Any]:
    return {
        "domain": project.domain_name,
        "project": project.name,
        "id": project.id,
        "kernels": len(project.kernels),
        **{slot: project.slot_seconds.get(slot, "0") for slot in slots},
    }


def _kernel(project: "ProjectUsage", kernel: Any) -> dict[str, Any]:
    return {
        "project": project.name,
        "session": kernel["name"],
        "email": kernel["email"],
        "image": kernel["image_name"],
        "used_time": kernel["used_time"],
        "slot_seconds": kernel["slot_seconds"],
    }


def _point(point: "Point") -> dict[str, Any]:
    values = {name: getattr(point, name)["value"] for name in METRICS}
    return {"at": datetime.fromtimestamp(point.date, UTC).isoformat(), **values}
