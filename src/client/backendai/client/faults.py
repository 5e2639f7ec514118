"""What goes wrong on this side of the wire; answers of the server are in `common.faults`."""

from typing import TYPE_CHECKING, Self

from backendai.common.faults import Fault, Kind, Unavailable

if TYPE_CHECKING:
    from pathlib import Path


class NotConfigured(Fault):
    """An address or a key is missing or wrong."""

    kind, code = Kind.INVALID, "client.not_configured"
    slug, title = "client-not-configured", "The client is not configured."


class BadUsage(Fault):
    """An argument of a call or a command that cannot be right."""

    kind, code = Kind.INVALID, "client.bad_usage"
    slug, title = "client-bad-usage", "Invalid argument."


class BadDocument(BadUsage):
    """A file that cannot be applied. Facts: place in the file -> what is wrong and allowed."""

    code = "client.bad_document"
    slug, title = "client-bad-document", "The file cannot be applied."


class LocalFileFailed(Fault):
    """A file of this machine cannot be read or written, or changed while it was sent."""

    kind, code = Kind.INVALID, "client.local_file"
    slug, title = "client-local-file", "A local file failed."

    @classmethod
    def of(cls, error: OSError, path: "Path") -> Self:
        return cls(f"{path}: {error.strerror or error}")


class Unreachable(Unavailable):
    """Nothing answers at the address. Facts: `address`."""

    code = "client.unreachable"
    slug, title = "client-unreachable", "Nothing answers at the API's address."


class ConnectionLost(Unavailable):
    """The connection broke before the answer: whether the server did it is unknown."""

    code = "client.connection_lost"
    slug, title = "client-connection-lost", "The connection broke before the answer came."


class WaitedTooLong(Fault):
    """The time that the caller gave ran out; what was waited for may still happen."""

    kind, code = Kind.UNAVAILABLE, "client.waited_too_long"
    slug, title = "client-waited-too-long", "Waited too long."


class NodesLost(Fault):
    """What is waited for on nodes does not come: they are LOST."""

    kind, code = Kind.CONFLICT, "client.nodes_lost"
    slug, title = "client-nodes-lost", "Nodes are lost."


class NotRunning(Fault):
    """Code was sent to a session that does not run. Facts: `session`, `status`."""

    kind, code = Kind.CONFLICT, "client.not_running"
    slug, title = "client-not-running", "The session does not run."


class ExecutionBroken(Fault):
    """The server stopped an execution before it finished."""

    kind, code = Kind.AGENT_FAILED, "client.execution_broken"
    slug, title = "client-execution-broken", "The execution was stopped before its end."


class AppClosed(Fault):
    """The way into an app was not opened, or was closed. Facts: `code`, of RFC 6455."""

    kind, code = Kind.UNAVAILABLE, "client.app_closed"
    slug, title = "client-app-closed", "The app cannot be reached."


class UnexpectedAnswer(Fault):
    """The server's answer is not what this API gives."""

    code = "client.unexpected_answer"
    slug, title = "client-unexpected-answer", "The answer is not one of this API."


def may_be_done(error: BaseException) -> bool:
    """Whether what was asked for may have been done though it ended in this: the answer was lost,
    or nobody waited for it. A refusal says that nothing was done."""
    if isinstance(error, Fault):
        return error.http_status >= 500 and not isinstance(error, Unreachable)
    return True
