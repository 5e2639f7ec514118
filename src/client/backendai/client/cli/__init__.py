"""The `backendai` command: parsing, showing, exit codes. What it does is in the SDK."""

import sys
from contextlib import suppress


def main() -> None:
    """Run the command line and exit with the code of `exits`."""
    from backendai.client.cli.process import flush_streams, open_missing_streams

    open_missing_streams()
    try:
        code = _run(sys.argv[1:])
    except BrokenPipeError:
        code = 1  # the reader went away, as `head` does
    sys.exit(code if flush_streams() else code or 1)


def _run(words: list[str]) -> int:
    import click

    from backendai.client.cli.process import check_words
    from backendai.client.cli.root import OWN, root

    try:
        check_words(words)
        outcome = root.main(words, prog_name="backendai", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        with suppress(OSError):  # a full or closed stderr: the exit code still tells
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        from backendai.client.cli.exits import explain

        # A daemon that another distribution brings dies with its whole trace, for its operator.
        command = next((word for word in words if not word.startswith("-")), None)
        return explain(error, is_own=command is None or command in OWN)
    return outcome if isinstance(outcome, int) else 0
