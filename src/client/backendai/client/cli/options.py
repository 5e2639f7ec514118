"""Options that commands share, and how their texts are read."""

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

IMAGE_VARIABLE: Final = "BACKENDAI_IMAGE"
NONE: Final = "none"
MOUNT_WORDS: Final = ("ro", "rw")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)?")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read_pair(text: str) -> tuple[str, str]:
    """`NAME=VALUE`, as a pair."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} must be NAME=VALUE")
    return name, value


def read_amount(text: str) -> tuple[str, str]:
    """`SLOT=AMOUNT`, such as `cpu=2` or `mem=4g`, checked before anything is asked."""
    from backendai.common.slots import SlotError, parse_amount, parse_slot_name

    name, amount = read_pair(text)
    try:
        parse_amount(parse_slot_name(name), amount)
    except SlotError as error:
        raise click.BadParameter(str(error)) from None
    return name, amount


def read_size(text: str) -> str:
    """A size such as `64m` or `1.5g`, as it is written."""
    from backendai.common.slots import SlotError, parse_size

    try:
        parse_size(text)
    except SlotError as error:
        raise click.BadParameter(str(error)) from None
    return text


def read_duration(text: str) -> int:
    """Whole seconds from `90`, `90s`, `5m`, `1.5h` or `2d`; at least one."""
    match = _DURATION.fullmatch(text.strip().lower())
    seconds = float(match[1]) * _SECONDS[match[2] or "s"] if match else 0.0
    if seconds < 1:
        raise click.BadParameter(
            f"{text!r} must be a time of one second or more, such as 90s, 5m or 1h"
        )
    return round(seconds)


def read_limit(text: str) -> int:
    """A whole number, or `none` for no limit."""
    from backendai.client.resources.rows import NO_LIMIT

    if text == NONE:
        return NO_LIMIT
    if not text.isascii() or not text.isdigit():
        raise click.BadParameter(f"{text!r} must be a whole number, or {NONE}")
    return int(text)


def read_size_limit(text: str) -> int:
    """Bytes from a size such as `64m`, or `none` for no limit."""
    from backendai.client.resources.rows import NO_LIMIT
    from backendai.common.slots import parse_size

    return NO_LIMIT if text == NONE else int(parse_size(read_size(text)))


def read_time_limit(text: str) -> int:
    """Seconds from a time such as `90s` or `2d`, or `none` for ever, which is 0."""
    return 0 if text == NONE else read_duration(text)


def read_script(name: str, content: bytes) -> str:
    """The text of a script. Raises UsageError when it is not UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{name} is not UTF-8 text: {error}") from None


def read_mount(text: str) -> tuple[str, str | None, str | None]:
    """Folder, path and permission of `data`, `data:/mnt/data`, `data:ro` or `data:work/x:rw`.

    `data=/mnt/data`, as the official client has it, is the same as with a colon.
    """
    folder, _, rest = text.replace("=", ":", 1).partition(":")
    path, _, word = rest.rpartition(":") if ":" in rest else (rest, "", "")
    if path in MOUNT_WORDS and not word:
        path, word = "", path
    if not folder or (word and word not in MOUNT_WORDS):
        raise click.BadParameter(f"{text!r} must be FOLDER, FOLDER:PATH or FOLDER:PATH:ro")
    return folder, path or None, word or None


output_option = click.option(
    "--output",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="Form of the result.",
)

_CREATION_OPTIONS: Final = (
    click.option(
        "--image",
        "-i",
        envvar=IMAGE_VARIABLE,
        help=f"Image to start from. Default: {IMAGE_VARIABLE}, else the server's first one that"
        " has python in its name.",
    ),
    click.option("--name", "-t", help="Name of the session. Default: a new one."),
    click.option(
        "-r",
        "--resource",
        "resources",
        type=read_amount,
        metavar="SLOT=AMOUNT",
        multiple=True,
        help="Such as cpu=1 or mem=4g; repeat it.",
    ),
    click.option("--shmem", type=read_size, metavar="SIZE", help="Shared memory, such as 64m."),
    click.option(
        "-e",
        "--env",
        "environ",
        type=read_pair,
        metavar="NAME=VALUE",
        multiple=True,
        help="Environment variable; repeat it.",
    ),
    click.option(
        "-v",
        "-m",
        "--mount",
        "mounts",
        type=read_mount,
        metavar="FOLDER[:PATH][:ro]",
        multiple=True,
        help="Folder to mount, or a directory in it (data/sub); at PATH, else in the home by its"
        " name. Repeat it.",
    ),
    click.option("--resource-group", help="Resource group to run in."),
    click.option("--arch", "architecture", default="x86_64", help="CPU of the image."),
    click.option(
        "--cluster-size", type=click.IntRange(min=1), default=1, help="How many containers."
    ),
    click.option(
        "--cluster-mode",
        type=click.Choice(["single-node", "multi-node"]),
        default="single-node",
        help="All containers on one node, or on several.",
    ),
    click.option(
        "--bootstrap-script",
        type=click.File("rb"),
        help="Shell script that runs in the container before anything else.",
    ),
    click.option(
        "--max-wait",
        type=read_duration,
        metavar="TIME",
        help="Give up waiting after this time, such as 30s or 5m.",
    ),
    click.option("--tag", help="Free text to find the session by."),
)


def creation_options(command: F) -> F:
    """What `run` and `session create` have in common."""
    for option in reversed(_CREATION_OPTIONS):
        command = option(command)
    return command


def take_creation(options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of NewSession, but image and name, out of parsed options."""
    script = options["bootstrap_script"]
    return {
        "resources": dict(options["resources"]),
        "shared_memory": options["shmem"],
        "environ": dict(options["environ"]),
        "mounts": {folder: path for folder, path, _ in options["mounts"]},
        "mount_permissions": {folder: word for folder, _, word in options["mounts"] if word},
        "resource_group": options["resource_group"],
        "architecture": options["architecture"],
        "cluster_size": options["cluster_size"],
        "cluster_mode": options["cluster_mode"],
        "bootstrap_script": read_script(script.name, script.read()) if script else None,
        "max_wait_seconds": options["max_wait"] or 0,
        "tag": options["tag"],
    }
