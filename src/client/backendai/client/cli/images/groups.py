"""The groups `images`, `image`, `admin image` and `admin registry`, and `task`."""

import click

from backendai.client.cli.images.image import list_images
from backendai.client.cli.lazy import LazyGroup, PluggedGroup
from backendai.client.cli.render import Output


@click.pass_context
def _list_by_default(ctx: click.Context, output: Output) -> None:
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_images, output=output)


images = PluggedGroup(
    "images",
    {"list": ("backendai.client.cli.images.image:list_images", "List images (the default).")},
    plugins="backendai.commands.images",
    invoke_without_command=True,
    callback=_list_by_default,
    params=list_images.params,
    help="""Images that sessions may use: lists them when no command is named.

    \b
    Examples:
      backendai images
      backendai images --output json
      backendai images build jupyter
    """,
)

image = LazyGroup(
    "image",
    {
        "list": ("backendai.client.cli.images.image:list_images", "List images."),
        "rescan": ("backendai.client.cli.images.image:rescan", "Look for images."),
        "preload": ("backendai.client.cli.images.image:preload", "Have nodes pull images."),
        "unload": ("backendai.client.cli.images.image:unload", "Remove images from nodes."),
        "alias": ("backendai.client.cli.images.image:alias", "Give an image another name."),
        "dealias": ("backendai.client.cli.images.image:dealias", "Take another name back."),
        "limit": ("backendai.client.cli.images.image:limit", "Say what its sessions may have."),
        "forget": ("backendai.client.cli.images.image:forget", "Let nobody use an image."),
        "clear": ("backendai.client.cli.images.image:clear", "Forget all of a registry."),
    },
    help="""Images that sessions may use.

    \b
    Examples:
      backendai admin image rescan cr.example.com
      backendai admin image alias py cr.example.com/stable/python:3.11
      backendai admin image limit py --min cpu=1 --max mem=8g
    """,
)

own_image = LazyGroup(
    "image",
    {
        "list": ("backendai.client.cli.images.image:list_images", "List images."),
        "forget": ("backendai.client.cli.images.image:forget", "Use an image no more."),
    },
    help="""Images that sessions may use; those that you made of sessions are your own.

    \b
    Examples:
      backendai image list
      backendai image forget tools:1
    """,
)

registry = LazyGroup(
    "registry",
    {
        "list": ("backendai.client.cli.images.registry:list_registries", "List registries."),
        "add": ("backendai.client.cli.images.registry:add", "Add a registry."),
        "update": ("backendai.client.cli.images.registry:update", "Change a registry."),
        "delete": ("backendai.client.cli.images.registry:delete", "Delete a registry."),
    },
    help="""Registries that images come from.

    \b
    Examples:
      backendai admin registry add cr.example.com https://cr.example.com --username robot
      backendai admin registry list
    """,
)

task = LazyGroup(
    "task",
    {
        "list": ("backendai.client.cli.images.task:list_tasks", "List background tasks."),
        "watch": ("backendai.client.cli.images.task:watch", "Show how far a task is."),
        "cancel": ("backendai.client.cli.images.task:cancel", "Cancel a task."),
    },
    help="""Long work of the server, such as a rescan of images: yours, for superadmins all.

    \b
    Examples:
      backendai task list
      backendai task watch 0f9c8a4e-…
    """,
)
