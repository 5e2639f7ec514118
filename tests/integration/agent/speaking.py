"""Running code in a kernel through its agent."""

import uuid

import msgspec

from backendai.common.contracts.agent import EXECUTE, Execute, ExecuteResult, KernelRef

from .conftest import Node


async def execute(node: Node, ref: KernelRef, code: str) -> ExecuteResult:
    """Run `code` to its end; the result has all that was printed."""
    peer = await node.connect()
    run_id, mode = uuid.uuid4().hex, "query"
    console: list[tuple[str, str | tuple[str, str]]] = []
    while True:
        step = Execute(kernel=ref, run_id=run_id, mode=mode, code=code)
        result = await peer.ask(EXECUTE, step)
        console += result.console
        if result.status == "finished":
            return msgspec.structs.replace(result, console=console)
        mode, code = "continue", ""


async def say(node: Node, ref: KernelRef, code: str) -> str:
    """What `code` prints."""
    result = await execute(node, ref, code)
    return "".join(str(text) for kind, text in result.console if kind == "stdout")
