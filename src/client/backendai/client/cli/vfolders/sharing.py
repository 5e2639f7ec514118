"""`vfolder invite`, `invitations`, `accept`, `reject`, `leave`, `share`, `unshare`, `chown`, …"""

from typing import TYPE_CHECKING, Final

import click

from backendai.client.cli.consent import do_to_each
from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, show_rows
from backendai.client.cli.vfolders.folder import PERMISSIONS

if TYPE_CHECKING:
    from backendai.client.vfolders.sharing import Permission

INVITATION_COLUMNS: Final = (
    "id",
    "vfolder_name",
    "vfolder_id",
    "inviter",
    "invitee",
    "perm",
    "state",
    "created_at",
)
SEEN_INVITATION_COLUMNS: Final = ("id", "vfolder_name", "inviter", "invitee", "perm", "age")
SHARE_COLUMNS: Final = (
    "vfolder_name",
    "vfolder_id",
    "status",
    "owner",
    "type",
    "user",
    "user_id",
    "perm",
)
SEEN_SHARE_COLUMNS: Final = ("vfolder_name", "owner", "user", "perm")

_permission_option = click.option(
    "--permission",
    type=PERMISSIONS,
    default="rw",
    show_default=True,
    help="What they may with its files.",
)


@click.command()
@click.argument("folder")
@click.argument("emails", nargs=-1, required=True, metavar="EMAIL...")
@_permission_option
def invite(folder: str, emails: tuple[str, ...], permission: "Permission") -> None:
    """Invite users of your domain to your FOLDER. They have it once they accept.

    Prints who was invited: nobody is twice.

    Example: backendai vfolder invite data ann@example.com --permission ro
    """
    from backendai.client.cli.connect import with_client

    for email in with_client(
        lambda client: client.vfolders.invite(folder, emails, permission=permission)
    ):
        click.echo(email)


@click.command()
@click.option("--sent", "is_sent", is_flag=True, help="Yours to others, in place of theirs to you.")
@output_option
def invitations(is_sent: bool, output: Output) -> None:
    """List the invitations that wait for your answer, or for that of others.

    \b
    Examples:
      backendai vfolder invitations
      backendai vfolder invitations --sent
    """
    from datetime import UTC, datetime

    from msgspec import structs

    from backendai.client.cli.connect import with_client
    from backendai.client.cli.units import show_age

    found = with_client(
        lambda client: (
            client.vfolders.sent_invitations() if is_sent else client.vfolders.invitations()
        )
    )
    if not found and output == "table":
        click.echo("No invitations.", err=True)
        return
    now = datetime.now(UTC)
    rows = [structs.asdict(one) | {"age": show_age(one.created_at, now)} for one in found]
    show_rows(rows, SEEN_INVITATION_COLUMNS if output == "table" else INVITATION_COLUMNS, output)


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="INVITATION...")
def accept(ids: tuple[str, ...]) -> None:
    """Accept invitations by their ids; the folders are yours to use then.

    Example: backendai vfolder accept 0b1c4ba2-0d6d-4d1b-9a0b-3bb6f2f2a5c1
    """
    do_to_each(ids, lambda client, one: client.vfolders.accept(one))


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="INVITATION...")
def reject(ids: tuple[str, ...]) -> None:
    """Reject invitations by their ids, or cancel such as you sent.

    Example: backendai vfolder reject 0b1c4ba2-0d6d-4d1b-9a0b-3bb6f2f2a5c1
    """
    do_to_each(ids, lambda client, one: client.vfolders.reject(one))


@click.command()
@click.argument("folders", nargs=-1, required=True)
def leave(folders: tuple[str, ...]) -> None:
    """Give up FOLDERS that others shared with you.

    Example: backendai vfolder leave data
    """
    do_to_each(folders, lambda client, folder: client.vfolders.leave(folder))


@click.command()
@click.argument("folder")
@click.argument("emails", nargs=-1, required=True, metavar="EMAIL...")
@_permission_option
def share(folder: str, emails: tuple[str, ...], permission: "Permission") -> None:
    """Give members of the project that owns FOLDER a permission of their own.

    It stands instead of what all members have. To your own folders you `invite`.

    Example: backendai vfolder share models ann@example.com --permission ro
    """
    from backendai.client.cli.connect import with_client

    for email in with_client(
        lambda client: client.vfolders.share(folder, emails, permission=permission)
    ):
        click.echo(email)


@click.command()
@click.argument("folder")
@click.argument("emails", nargs=-1, required=True, metavar="EMAIL...")
def unshare(folder: str, emails: tuple[str, ...]) -> None:
    """Take away what users were given of FOLDER, yours or a project's that you manage.

    Members of a project have again what all of them have.

    Example: backendai vfolder unshare data ann@example.com
    """
    do_to_each(emails, lambda client, email: client.vfolders.set_share(folder, email, None))


@click.command()
@click.argument("folder", required=False)
@output_option
def shares(folder: str | None, output: Output) -> None:
    """List who has what of FOLDER, or of all folders that you own or manage.

    Example: backendai vfolder shares data
    """
    from msgspec import structs

    from backendai.client.cli.connect import with_client

    found = with_client(lambda client: client.vfolders.shares(folder))
    if not found and output == "table":
        click.echo("No shares.", err=True)
        return
    rows = [
        structs.asdict(one) | {"user": one.shared_to.email, "user_id": one.shared_to.uuid}
        for one in found
    ]
    show_rows(rows, SEEN_SHARE_COLUMNS if output == "table" else SHARE_COLUMNS, output)


@click.command("set-share")
@click.argument("folder")
@click.argument("email")
@click.argument("permission", type=PERMISSIONS)
def set_share(folder: str, email: str, permission: "Permission") -> None:
    """Change what the share of FOLDER that EMAIL has gives to PERMISSION: ro, rw or wd.

    Example: backendai vfolder set-share data ann@example.com ro
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.vfolders.set_share(folder, email, permission))


@click.command("set-invitation")
@click.argument("invitation")
@click.argument("permission", type=PERMISSIONS)
def set_invitation(invitation: str, permission: "Permission") -> None:
    """Change what an INVITATION that you sent gives to PERMISSION: ro, rw or wd.

    Example: backendai vfolder set-invitation 0b1c4ba2-0d6d-4d1b-9a0b-3bb6f2f2a5c1 ro
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.vfolders.update_invitation(invitation, permission))


@click.command()
@click.argument("folder")
@click.argument("email")
def chown(folder: str, email: str) -> None:
    """Hand a user's FOLDER on to EMAIL; for superadmins, who name it by its id.

    Its files stay where they are, and count there: `info` shows in which quota scope.

    Example: backendai vfolder chown cf14cfa0fc93480cb10bd6967f7d9343 ann@example.com
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.vfolders.transfer(folder, email))
