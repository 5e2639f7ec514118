"""What a test asked of the official client, so that the table of commands can be held to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.conformance.table import FORMS
from tests.conformance.tree import name_command


@dataclass(frozen=True)
class Calls:
    """Commands that were run to their end, with their exit codes; and calls of the SDK, with 0
    when they gave a result and 1 when they raised; in the order in which they ended."""

    tree: Mapping[str, str] = field(repr=False)
    made: list[tuple[str, int]] = field(default_factory=list)

    def note(self, words: Sequence[str], code: int) -> None:
        name = name_command(self.tree, words)
        self.made.append((name, code))
        forms = FORMS & {f"{name} {word}" for word in words}
        self.made.extend((form, code) for form in sorted(forms))

    def note_sdk(self, name: str, *, is_ok: bool) -> None:
        self.made.append((f"sdk: {name}", 0 if is_ok else 1))
