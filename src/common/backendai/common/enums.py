"""The closed vocabularies of the public API, with the words that go over the wire.

Statuses of sessions and kernels are in `lifecycle`, beside the table that moves them.
"""

import enum


class SessionType(enum.StrEnum):
    INTERACTIVE = "interactive"
    BATCH = "batch"
    INFERENCE = "inference"


class SessionResult(enum.StrEnum):
    UNDEFINED = "undefined"
    SUCCESS = "success"
    FAILURE = "failure"


class ClusterMode(enum.StrEnum):
    SINGLE_NODE = "single-node"
    MULTI_NODE = "multi-node"


class ClusterRole(enum.StrEnum):
    MAIN = "main"
    SUB = "sub"


class CommitStatus(enum.StrEnum):
    READY = "ready"
    ONGOING = "ongoing"


class ExecutionMode(enum.StrEnum):
    QUERY = "query"
    BATCH = "batch"
    COMPLETE = "complete"
    CONTINUE = "continue"
    INPUT = "input"


class ExecutionStatus(enum.StrEnum):
    CONTINUED = "continued"
    WAITING_INPUT = "waiting-input"
    CLEAN_FINISHED = "clean-finished"
    BUILD_FINISHED = "build-finished"
    FINISHED = "finished"
    EXEC_TIMEOUT = "exec-timeout"


class AgentStatus(enum.StrEnum):
    """SUSPECT is ours (heartbeats missed, not yet given up); the wire shows it as ALIVE."""

    ALIVE = "ALIVE"
    SUSPECT = "SUSPECT"
    LOST = "LOST"
    TERMINATED = "TERMINATED"


class UserRole(enum.StrEnum):
    SUPERADMIN = "superadmin"
    ADMIN = "admin"
    USER = "user"
    MONITOR = "monitor"


class ProjectRole(enum.StrEnum):
    """What a member is in one project."""

    MEMBER = "member"
    ADMIN = "admin"


class UserStatus(enum.StrEnum):
    ACTIVE = "active"
    INACTIVE = "inactive"
    DELETED = "deleted"
    BEFORE_VERIFICATION = "before-verification"


class DefaultForUnspecified(enum.StrEnum):
    """What a policy grants of a slot that it does not name."""

    LIMITED = "LIMITED"
    UNLIMITED = "UNLIMITED"


class SlotType(enum.StrEnum):
    COUNT = "count"
    BYTES = "bytes"
    UNIQUE = "unique"


class ServiceProtocol(enum.StrEnum):
    HTTP = "http"
    TCP = "tcp"
    PREOPEN = "preopen"
    INTERNAL = "internal"


class PlacementStrategy(enum.StrEnum):
    """CONCENTRATED fills used nodes first; DISPERSED spreads over the emptiest."""

    CONCENTRATED = "concentrated"
    DISPERSED = "dispersed"


class HostPermission(enum.StrEnum):
    """What a domain, project or policy may allow of the folders on one storage host."""

    CREATE = "create-vfolder"
    MODIFY = "modify-vfolder"
    DELETE = "delete-vfolder"
    MOUNT = "mount-in-session"
    UPLOAD = "upload-file"
    DOWNLOAD = "download-file"
    INVITE = "invite-others"
    SET_USER_PERMISSION = "set-user-specific-permission"


class Reason(enum.StrEnum):
    """Why a kernel or session moved, as shown in status_info."""

    USER_REQUESTED = "user-requested"
    FORCE_TERMINATED = "force-terminated"
    SELF_TERMINATED = "self-terminated"
    TASK_DONE = "task-done"
    TASK_FAILED = "task-failed"
    TASK_TIMEOUT = "task-timeout"
    OUT_OF_MEMORY = "out-of-memory"
    KILLED_BY_EVENT = "killed-by-event"
    NOT_FOUND_ON_AGENT = "not-found-on-agent"
    FAILED_TO_START = "failed-to-start"
    REGISTRY_LOGIN_REFUSED = "registry-login-refused"
    PENDING_TIMEOUT = "pending-timeout"
    START_TIMEOUT = "start-timeout"
    TERMINATE_TIMEOUT = "terminate-timeout"
    RESTARTING = "restarting"
    DEPENDENCY_FAILED = "dependency-failed"
    SIBLING_FAILED = "sibling-failed"
    AGENT_LOST = "agent-lost"
    AGENT_RESTARTED_NODE = "node-restarted"
    IDLE_TIMEOUT = "idle-timeout"
    IDLE_SESSION_LIFETIME = "idle-session-lifetime"
    IDLE_UTILIZATION = "idle-utilization"
