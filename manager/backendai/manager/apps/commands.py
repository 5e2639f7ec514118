"""`backendai mgr rotate-relay-key`: another key for the tickets that open apps."""

from __future__ import annotations

from pathlib import Path

import click

from backendai.manager.console import config_option, read_settings


@click.command("rotate-relay-key")
@click.option(
    "--after",
    "seconds",
    type=click.IntRange(min=10, max=7 * 86400),
    default=120,
    show_default=True,
    help="Seconds until the new key is used: time to copy the file.",
)
@config_option
@click.pass_context
def rotate_relay_key(ctx: click.Context, seconds: int, config_path: Path | None) -> None:
    """Write a new key into the file of [relay] secret-key-file, beside the present one.

    Managers and app proxies read the file again by themselves and accept both keys; the new one is
    used once its time has come, and the present one is good until the next rotation. Connections
    that are open stay open. Copy the file to the other machines before that time.

    \b
    Examples:
      backendai mgr rotate-relay-key
      backendai mgr rotate-relay-key --after 3600
    """
    import os
    from datetime import UTC, datetime, timedelta

    from backendai.common.relay_secrets import read_secrets, rotated, write_secrets
    from backendai.common.secretfile import KEY_BYTES

    path = read_settings(ctx, config_path).relay.secret_key_file
    if path is None:
        raise click.ClickException("manager.toml names no [relay] secret-key-file")
    key, lead = os.urandom(KEY_BYTES), timedelta(seconds=seconds)
    secrets = rotated(read_secrets(path), key, datetime.now(UTC), lead)
    write_secrets(path, secrets)
    click.echo(f"wrote {path}: the new key is used from {secrets[-1].since.isoformat()} on;")
    click.echo("copy it to the other managers and app proxies before that")
