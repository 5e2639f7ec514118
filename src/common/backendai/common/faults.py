"""Everything that can go wrong on purpose: one tree of faults, and its form on the wire.

A `Kind` says which HTTP status a fault has and whether asking again can help; a leaf adds a dotted
code. Public: title, detail and facts. Private: the `__cause__` chain, which never leaves a process.
"""

import enum
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

import msgspec

PROBLEM_TYPE_PREFIX: Final = "https://api.backend.ai/probs/"
PROBLEM_CONTENT_TYPE: Final = "application/problem+json"


class Kind(enum.Enum):
    """What sort of trouble it is: (word, HTTP status, can asking again help)."""

    INVALID = ("invalid", 400, False)
    UNAUTHENTICATED = ("unauthenticated", 401, False)
    FORBIDDEN = ("forbidden", 403, False)
    NOT_FOUND = ("not_found", 404, False)
    NOT_ALLOWED = ("not_allowed", 405, False)
    CONFLICT = ("conflict", 409, False)
    QUOTA = ("quota", 412, False)
    TOO_LARGE = ("too_large", 413, False)
    UNPROCESSABLE = ("unprocessable", 422, False)
    RATE_LIMITED = ("rate_limited", 429, True)
    INTERNAL = ("internal", 500, False)
    AGENT_FAILED = ("agent_failed", 500, False)
    UNAVAILABLE = ("unavailable", 503, True)

    def __init__(self, word: str, status: int, retryable: bool) -> None:
        self.word = word
        self.status = status
        self.retryable = retryable


class Fault(Exception):
    """A refusal or failure that a caller may see.

    `detail` is one sentence for people; `facts` are JSON values for programs (`data` on the wire).
    Leaves set `kind`, `code`, `slug` and `title`, and `status` where the wire's is not the kind's.
    """

    kind: Kind = Kind.INTERNAL
    code: str = "internal"
    slug: str = "internal-server-error"
    title: str = "Internal server error."
    status: int | None = None
    default_detail: ClassVar[str] = ""
    by_code: ClassVar[dict[str, type["Fault"]]] = {}

    def __init__(self, detail: str = "", facts: Mapping[str, Any] | None = None) -> None:
        self.detail = detail or self.default_detail
        self.facts: Mapping[str, Any] = dict(facts or {})
        super().__init__(self.detail)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        code = cls.__dict__.get("code")
        if code is None:
            return
        known = Fault.by_code.setdefault(code, cls)
        if known.__qualname__ != cls.__qualname__ or known.__module__ != cls.__module__:
            raise TypeError(f"fault code {code!r} is taken by {known.__qualname__}")

    def __str__(self) -> str:
        return f"{self.title} {self.detail}".rstrip()

    @property
    def http_status(self) -> int:
        return self.status or self.kind.status

    def data(self) -> Any:
        """What `data` is on the wire; None leaves it out."""
        return {key: value for key, value in self.facts.items() if key != "agent-details"} or None

    @classmethod
    def from_wire(cls, detail: str, data: Any) -> Self:
        """The reverse of `detail` and `data()`."""
        return cls(detail, data if isinstance(data, dict) else {"data": data} if data else None)


Fault.by_code["internal"] = Fault


# What a caller got wrong


class BadRequest(Fault):
    kind, code = Kind.INVALID, "request.bad"
    slug, title = "generic-bad-request", "Bad request."


class InvalidParams(BadRequest):
    """Facts are field -> message, all of them at once."""

    code = "request.invalid_params"
    slug, title = "invalid-api-params", "Missing or invalid API parameters."
    default_detail = "Input validation error"


class DotfileExists(BadRequest):
    code, title = "dotfile.exists", "Dotfile already exists."


class DotfileRefused(BadRequest):
    """There is no room for it."""

    code, title = "dotfile.refused", "Dotfile creation has failed."


class UnknownVersion(BadRequest):
    code = "request.unknown_version"
    default_detail = "Unsupported API version."


class InvalidAuthParams(Fault):
    kind, code = Kind.INVALID, "auth.invalid_params"
    slug, title = "invalid-auth-params", "Missing or invalid authorization parameters."


class GraphQLFault(Fault):
    kind, code = Kind.INVALID, "graphql.error"
    slug, title = "graphql-error", "GraphQL-generated error."


class AuthFailed(Fault):
    kind, code = Kind.UNAUTHENTICATED, "auth.failed"
    slug, title = "auth-failed", "Credential/signature mismatch."


class PasswordExpired(Fault):
    kind, code = Kind.UNAUTHENTICATED, "auth.password_expired"
    slug, title = "password-expired", "Password has expired."


class Forbidden(Fault):
    kind, code = Kind.FORBIDDEN, "auth.forbidden"
    slug, title = "generic-forbidden", "Forbidden operation."


class JoinTokenRefused(Fault):
    """A node may not join by the token that it showed."""

    kind, code = Kind.FORBIDDEN, "join.token_refused"
    slug, title = "join-token-refused", "The token is not good."


class NodeUnreachable(Fault):
    """Managers cannot ask a node back that wants to join."""

    kind, code = Kind.UNPROCESSABLE, "join.node_unreachable"
    slug, title = "node-unreachable", "The node cannot be reached."


class InsufficientPrivilege(Fault):
    kind, code = Kind.FORBIDDEN, "auth.insufficient_privilege"
    slug, title = "insufficient-privilege", "Insufficient privilege."


class UrlNotFound(Fault):
    kind, code = Kind.NOT_FOUND, "url.not_found"
    slug, title = "url-not-found", "Unknown URL path."

    def data(self) -> Any:
        return self.facts.get("path")

    @classmethod
    def from_wire(cls, detail: str, data: Any) -> Self:
        return cls(detail, {"path": data})


class MethodNotAllowed(Fault):
    kind, code = Kind.NOT_ALLOWED, "url.method_not_allowed"
    slug, title = "method-not-allowed", "HTTP Method Not Allowed."


class BodyTooLarge(Fault):
    kind, code = Kind.TOO_LARGE, "request.too_large"
    slug, title = "content-too-large", "The request is larger than allowed."


# What is not there


class NotFound(Fault):
    """A leaf gives `object_name`, as the wire's title calls it."""

    kind, code = Kind.NOT_FOUND, "object.not_found"
    slug = "object-not-found"
    object_name: ClassVar[str] = "object"
    title = "No such object."

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.title = f"No such {cls.object_name}."


class SessionNotFound(NotFound):
    code, object_name = "session.not_found", "session"


class KernelNotFound(NotFound):
    code, object_name = "kernel.not_found", "kernel"


class AppNotFound(NotFound):
    code, object_name = "app.not_found", "app service"


class CircuitNotFound(NotFound):
    code, object_name = "circuit.not_found", "circuit"


class ImageNotFound(NotFound):
    code, object_name = "image.not_found", "environment image"


class DomainNotFound(NotFound):
    code, object_name = "domain.not_found", "domain"


class ProjectNotFound(NotFound):
    code, object_name = "project.not_found", "user group (or project)"


class UserNotFound(NotFound):
    code, object_name = "user.not_found", "user"


class KeypairNotFound(NotFound):
    code, object_name = "keypair.not_found", "keypair"


class ResourceGroupNotFound(NotFound):
    code, object_name = "resource_group.not_found", "scaling group"


class VFolderNotFound(NotFound):
    code, object_name = "vfolder.not_found", "virtual folder"


class InvitationNotFound(NotFound):
    code, object_name = "vfolder_invitation.not_found", "vfolder invitation"


class ShareNotFound(NotFound):
    code, object_name = "vfolder_permission.not_found", "vfolder permission"


class QuotaScopeNotFound(NotFound):
    code, object_name = "quota_scope.not_found", "quota scope"


class AgentNotFound(NotFound):
    code, object_name = "agent.not_found", "agent instance"


class WatcherNotFound(NotFound):
    code, object_name = "watcher.not_found", "watcher"


class JoinTokenNotFound(NotFound):
    code, object_name = "join_token.not_found", "join token"


class PolicyNotFound(NotFound):
    code, object_name = "policy.not_found", "resource policy"


class PresetNotFound(NotFound):
    code, object_name = "preset.not_found", "resource preset"


class DotfileNotFound(NotFound):
    code, object_name = "dotfile.not_found", "dotfile"


class ErrorLogNotFound(NotFound):
    code, object_name = "error_log.not_found", "error log"


class TemplateNotFound(NotFound):
    code, object_name = "template.not_found", "task template"


class ImageAliasNotFound(NotFound):
    code, object_name = "image_alias.not_found", "image alias"


class RegistryNotFound(NotFound):
    code, object_name = "registry.not_found", "container registry"


class TaskNotFound(NotFound):
    code, object_name = "task.not_found", "background task"


class FileNotFound(NotFound):
    code, object_name = "file.not_found", "file"


class TooManySessionsMatched(Fault):
    """Facts: `matches`, a list of {id, name, status, created_at}."""

    kind, code, status = Kind.INVALID, "session.too_many_matched", 404
    slug, title = "too-many-sessions-matched", "Too many sessions matched."


# What clashes with what is


class VFolderExists(Fault):
    """Facts: `name`."""

    kind, code, status = Kind.CONFLICT, "vfolder.already_exists", 400
    slug, title = "vfolder-already-exists", "The virtual folder already exists with the same name."


class VFolderCreationFailed(Fault):
    kind, code = Kind.INVALID, "vfolder.creation_failed"
    slug, title = "vfolder-creation-failed", "Virtual folder creation has failed."


class VFolderUnmanaged(BadRequest):
    """Facts: `unmanaged_path`."""

    code, title = "vfolder.unmanaged", "The virtual folder is not kept by a storage proxy."


class SessionAlreadyExists(Fault):
    """Facts: `existingSessionId`."""

    kind, code, status = Kind.CONFLICT, "session.already_exists", 400
    slug = "session-already-exists"
    title = "The session already exists but you requested not to reuse existing one."


class Conflict(Fault):
    kind, code = Kind.CONFLICT, "object.conflict"
    slug, title = "conflict", "The request conflicts with the present state."


class Stale(Conflict):
    code = "object.stale"
    title = "The object changed in the meantime."


class ClientTokenReused(Fault):
    kind, code = Kind.UNPROCESSABLE, "request.client_token_reused"
    slug, title = "client-token-reused", "The client token was used for another request."


class QuotaExceeded(Fault):
    kind, code = Kind.QUOTA, "policy.quota_exceeded"
    slug, title = "quota-exceeded", "You have reached your resource limit."


class RateLimited(Fault):
    """Facts: `retryAfterSeconds` when known."""

    kind, code = Kind.RATE_LIMITED, "request.rate_limited"
    slug, title = "rate-limit-exceeded", "You have reached your API query rate limit."


# What failed on our side


class InternalError(Fault):
    code = "internal.error"


class ServerMisconfigured(Fault):
    kind, code = Kind.INTERNAL, "server.misconfigured"
    slug, title = "server-misconfigured", "Service misconfigured."


class Unavailable(Fault):
    kind, code = Kind.UNAVAILABLE, "server.unavailable"
    slug, title = "service-unavailable", "Service unavailable."


class ServerFrozen(Unavailable):
    """An administrator holds everything that would begin something new."""

    code = "server.frozen"
    slug = "server-frozen"
    title = "The server is frozen due to maintenance. Please try again later."


class StoreUnavailable(Unavailable):
    code = "store.unavailable"


class StoreFull(StoreUnavailable):
    code = "store.full"
    title = "The store is out of disk space."


class StoreOutOfMemory(StoreUnavailable):
    code = "store.out_of_memory"
    title = "The store is out of memory."


class StoreCrowded(StoreUnavailable):
    code = "store.crowded"
    title = "The store takes no more connections."


class NotOffered(Fault):
    """The API names it; this installation does not have it."""

    kind, code = Kind.UNAVAILABLE, "server.not_offered"
    slug, title = "not-implemented", "This API is not implemented."


class StorageUnavailable(Unavailable):
    """A storage proxy does not answer; facts: `host`."""

    code = "storage.unavailable"
    title = "The storage host does not answer."


class StorageFailed(Fault):
    """A storage proxy answers, but could not do it."""

    kind, code = Kind.INTERNAL, "storage.failed"
    slug, title = "vfolder-operation-failed", "The storage host failed."


class RegistryFault(Fault):
    """An image registry does not answer, refuses, or answers what makes no sense."""

    kind, code = Kind.UNAVAILABLE, "registry.failed"
    slug, title = "registry-failed", "The image registry failed."


class AgentFault(Fault):
    """What an agent, or the way to it, did wrong. Shown as `agent-details` on the wire."""

    kind, code = Kind.AGENT_FAILED, "agent.fault"
    agent_slug: ClassVar[str] = "agent-failure"
    agent_title: ClassVar[str] = "Agent-side failure."


class AgentFailure(AgentFault):
    code = "agent.failed"


class NodesFailed(AgentFault):
    """Of what a task asked of several nodes, some of it was not done."""

    code, title = "agent.some_failed", "Not everything was done."


class AgentInvalidInput(AgentFault):
    kind, code = Kind.INVALID, "agent.invalid_input"
    slug, title = "generic-bad-request", "Bad request."
    agent_slug, agent_title = "agent-invalid-input", "The agent refused the request."


class AgentTimeout(AgentFault):
    """No reply in time: whether the agent did it is unknown."""

    kind, code = Kind.UNAVAILABLE, "agent.timeout"
    slug, title = "service-unavailable", "Service unavailable."
    agent_slug, agent_title = "agent-timeout", "The agent did not answer in time."


class AgentConnectionLost(AgentTimeout):
    """The connection went away under a call: whether the agent did it is unknown."""

    code, agent_title = "agent.connection_lost", "The connection to the agent was lost."


class AgentBusy(AgentFault):
    kind, code = Kind.UNAVAILABLE, "agent.busy"
    slug, title = "service-unavailable", "Service unavailable."


class KernelOperationFailed(AgentFault):
    """Facts: `agent-details`, made by `after` from the agent's own fault."""

    code = "kernel.operation_failed"

    @classmethod
    def after(cls, cause: Fault) -> Self:
        """This failure, telling of `cause` what its reader may know."""
        return cls(cause.detail or cause.title, {"agent-details": agent_details(cause)})


class KernelCreationFailed(KernelOperationFailed):
    code = "kernel.creation_failed"
    slug, title = "kernel-creation-failed", "Kernel creation has failed."


class KernelExecutionFailed(KernelOperationFailed):
    code = "kernel.execution_failed"
    slug, title = "kernel-execution-failed", "Executing user code in the kernel has failed."


# On the wire


def agent_details(fault: Fault) -> dict[str, Any]:
    """The `agent-details` object that tells of `fault`."""
    if "agent-details" in fault.facts:
        return dict(fault.facts["agent-details"])
    source = fault if isinstance(fault, AgentFault) else AgentFault()
    details = {"type": PROBLEM_TYPE_PREFIX + source.agent_slug, "title": source.agent_title}
    if fault.detail:
        details["exception"] = fault.detail
    return details


def to_problem(fault: Fault) -> dict[str, Any]:
    """The body of an `application/problem+json` answer."""
    body: dict[str, Any] = {"type": PROBLEM_TYPE_PREFIX + fault.slug, "title": fault.title}
    if fault.detail:
        body["msg"] = fault.detail
    data = fault.data()
    if data is not None:
        body["data"] = data
    if isinstance(fault, AgentFault):
        body["agent-details"] = agent_details(fault)
    body["code"] = fault.code
    return body


def fault_from_problem(status: int, body: Any) -> Fault:
    """The fault that a problem body tells of: the same class where its code is known.

    Bodies of other servers carry no code and are known by their type; a body that is no problem at
    all becomes a plain Fault whose kind follows the status.
    """
    if not isinstance(body, dict):
        return _plain(status, "", "Unexpected answer.", str(body or ""), None)
    slug = str(body.get("type", "")).removeprefix(PROBLEM_TYPE_PREFIX)
    detail, data = str(body.get("msg") or ""), body.get("data")
    leaf = Fault.by_code.get(str(body.get("code"))) or _leaf_of(slug, str(body.get("title")))
    if leaf is None:
        return _plain(status, slug, str(body.get("title") or "Unexpected answer."), detail, data)
    fault = leaf.from_wire(detail, data)
    if isinstance(body.get("agent-details"), dict):
        fault.facts = {**fault.facts, "agent-details": body["agent-details"]}
    return fault


def _leaf_of(slug: str, title: str) -> type[Fault] | None:
    leaves = [leaf for leaf in Fault.by_code.values() if leaf.slug == slug]
    named = [leaf for leaf in leaves if leaf.title == title]
    return next(iter(named or leaves), None)


def _plain(status: int, slug: str, title: str, detail: str, data: Any) -> Fault:
    fault = Fault.from_wire(detail, data)
    fault.kind = kind_of_status(status)
    fault.status, fault.slug, fault.title = status, slug or "generic-error", title
    fault.code = f"unknown.{fault.kind.word}"
    return fault


def kind_of_status(status: int) -> Kind:
    """The kind nearest to an HTTP status."""
    exact = next((kind for kind in Kind if kind.status == status), None)
    if exact is not None:
        return exact
    if status in (502, 504):
        return Kind.UNAVAILABLE
    return Kind.INVALID if 400 <= status < 500 else Kind.INTERNAL


# Over RPC


class FaultData(msgspec.Struct, frozen=True, array_like=True):
    """A fault between daemons. `title`, `slug` and `status` serve readers that lack the leaf."""

    code: str
    kind: str
    detail: str
    facts: dict[str, Any]
    title: str = ""
    slug: str = ""
    status: int = 0


def fault_data(fault: Fault) -> FaultData:
    """What may leave the process of `fault`."""
    return FaultData(
        code=fault.code,
        kind=fault.kind.word,
        detail=fault.detail,
        facts=dict(fault.facts),
        title=fault.title,
        slug=fault.slug,
        status=fault.http_status,
    )


def fault_from_data(data: FaultData) -> Fault:
    """The same class where its code is known here; else a plain Fault of the same kind."""
    leaf = Fault.by_code.get(data.code)
    if leaf is not None:
        return leaf(data.detail, data.facts)
    fault = Fault(data.detail, data.facts)
    fault.kind = next((kind for kind in Kind if kind.word == data.kind), Kind.INTERNAL)
    fault.code, fault.status = data.code, data.status or None
    fault.title, fault.slug = data.title or fault.title, data.slug or fault.slug
    return fault
