"""Commands that take another command after `--`."""

from typing import Final

import click

DASHES: Final = "--"


class CommandAfterDashes(click.Command):
    """Puts what follows `--` into `ctx.meta["command"]`, and parses only what is before."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        place = args.index(DASHES) if DASHES in args else len(args)
        ctx.meta["command"] = args[place + 1 :]
        return super().parse_args(ctx, args[:place])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND ...]"]
