"""Refusals that GraphQL tells as a sentence, as the faults that they are. PURE."""

from backendai.client.faults import BadUsage
from backendai.common.faults import Fault, InsufficientPrivilege

NO_PERMISSION = "no permission to "


def fault_told(message: str) -> Fault | None:
    """The fault whose title begins the sentence, its rest the detail; None where none does."""
    if message.startswith(NO_PERMISSION):
        return InsufficientPrivilege(message)
    named = [leaf for leaf in Fault.by_code.values() if message.startswith(leaf.title)]
    if not named:
        return None
    leaf = max(named, key=lambda each: len(each.title))
    return leaf(message.removeprefix(leaf.title).strip())


def refusal(message: str) -> Fault:
    """What a mutation refused: without a title it names the arguments that are wrong."""
    return fault_told(message) or BadUsage(message)
