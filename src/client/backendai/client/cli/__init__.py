"""The `backendai` command: parsing, showing, exit codes. What it does is in the SDK."""

import os
import sys


def main() -> None:
    """Run the command line and exit with the code of `exits`."""
    import click

    from backendai.client.cli.root import root

    try:
        outcome = root.main(prog_name="backendai", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # The reader went away, as `head` does. What is still buffered must not fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except Exception as error:
        from backendai.client.cli.exits import explain

        sys.exit(explain(error))
    sys.exit(outcome if isinstance(outcome, int) else 0)
