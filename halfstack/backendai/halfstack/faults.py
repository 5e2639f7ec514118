"""What can go wrong on the way up, always with the way out.

The supervisor imports this, so it stays free of third-party modules.
"""


class SetupFault(Exception):
    """A step could not be done. `problem` says what is wrong, `fix` what a person can do."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix
