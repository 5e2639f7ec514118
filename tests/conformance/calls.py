"""What a test asked of the official client, so that the table of commands can be held to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.conformance.tree import name_command


@dataclass(frozen=True)
class Calls:
    """Commands that were run to their end, with their exit codes; and calls of the SDK, with 0
    when they gave a result and 1 when they raised; in the order in which they ended."""

    tree: Mapping[str, str] = field(repr=False)
    made: list[tuple[str, int]] = field(default_factory=list)

    def note(self, words: Sequence[str], code: int) -> None:
        self.made.append((name_command(self.tree, words), code))

    def note_sdk(self, name: str, *, is_ok: bool) -> None:
        self.made.append((f"sdk: {name}", 0 if is_ok else 1))
