"""What calls take and give: frozen values. Times are ISO 8601 text with offset, as on the wire."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

# Statuses of a session that will not run any more.
DEAD = ("TERMINATED", "CANCELLED")
LIVE = (
    "PENDING",
    "SCHEDULED",
    "PULLING",
    "PREPARING",
    "RUNNING",
    "RESTARTING",
    "RUNNING_DEGRADED",
    "TERMINATING",
    "ERROR",
)
RUNNING = ("RUNNING", "RUNNING_DEGRADED")
ENDING = "TERMINATING"
# What a create answers when `max_wait_seconds` ran out: the session goes on waiting.
WAIT_ENDED = "TIMEOUT"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """What to start. Amounts are texts such as `2`, `0.5`, `4g`.

    `max_wait_seconds` bounds how long a create waits for RUNNING (0: without limit);
    `enqueue_only` does not wait. `starts_at` (batch only) is ISO 8601 or relative (`1h`).
    `reuse` gives back a live session of the same name and image in place of a conflict. `mounts`
    are folders by name or id, perhaps with a path inside (`data/sub`), with their place in the
    container (None: the home); `mount_permissions` are `ro` or `rw` by the same names.
    """

    image: str
    name: str
    type: str = "interactive"
    resources: Mapping[str, str] = field(default_factory=dict)
    shared_memory: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, str | None] = field(default_factory=dict)
    mount_permissions: Mapping[str, str] = field(default_factory=dict)
    startup_command: str | None = None
    bootstrap_script: str | None = None
    starts_at: str | None = None
    dependencies: Sequence[str] = ()
    cluster_size: int = 1
    cluster_mode: str = "single-node"
    resource_group: str | None = None
    architecture: str = "x86_64"
    agents: Sequence[str] = ()
    preopen_ports: Sequence[int] = ()
    tag: str | None = None
    callback_url: str | None = None
    owner_access_key: str | None = None
    enqueue_only: bool = False
    max_wait_seconds: int = 0
    reuse: bool = False


class Created(msgspec.Struct, frozen=True, rename="camel"):
    """A session made or, with `created` false, found. `status` may be TIMEOUT."""

    session_id: str
    session_name: str
    status: str
    created: bool = True
    service_ports: list[dict[str, Any]] = []


class SessionRow(msgspec.Struct, frozen=True):
    """One line of a listing.

    JSON texts: slots are slot -> amount; `status_data` has the waiting reason as `scheduler`.
    """

    name: str | None = None
    id: str | None = None
    group_name: str | None = None
    image: str | None = None
    type: str | None = None
    status: str | None = None
    status_info: str | None = None
    status_changed: str | None = None
    result: str | None = None
    created_at: str | None = None
    terminated_at: str | None = None
    requested_slots: str | None = None
    occupying_slots: str | None = None
    status_data: str | None = None
    access_key: str | None = None
    tag: str | None = None


class Page(msgspec.Struct, frozen=True):
    """A part of a listing, and how many there are in all."""

    items: list[SessionRow]
    total_count: int


class ImageRow(msgspec.Struct, frozen=True):
    """An image that sessions may use."""

    name: str
    registry: str | None = None
    tag: str | None = None
    architecture: str | None = None
    digest: str | None = None
    size_bytes: int | None = None
    aliases: Sequence[str] | None = None

    @property
    def reference(self) -> str:
        """What `image` of a new session is: `registry/name:tag`."""
        path = f"{self.registry}/{self.name}" if self.registry else self.name
        return f"{path}:{self.tag}" if self.tag else path


class SessionInfo(msgspec.Struct, frozen=True, rename="camel"):
    """One session; `facts` is the whole answer with the names of the wire."""

    status: str
    image: str
    status_info: str | None = None
    creation_time: str | None = None
    termination_time: str | None = None
    age: int | None = None
    facts: dict[str, Any] = {}


class IdleCheck(msgspec.Struct, frozen=True):
    """When a checker ends a session that is idle: in `remaining` seconds, None while it does not.

    `remaining_time_type` is `expire_after`, or `grace_period` where it only begins to look then.
    """

    remaining: float | None = None
    remaining_time_type: str = "expire_after"
    extra: dict[str, Any] | None = None


class Commit(msgspec.Struct, frozen=True):
    """The image that is being made of a session: `status` is ongoing, or ready without one."""

    status: str
    kernel: str
    task_id: str | None = None
    image: str | None = None


class Why(msgspec.Struct, frozen=True):
    """Why a session is in its status: `text` in one sentence, `waiting` for programs.

    `waiting` has `rule`, `need`, `have`, `causes` (cause -> nodes), `detail` and `at`; `kernels`
    have `hostname`, `status`, `reason` and `agent`.
    """

    status: str
    text: str = ""
    waiting: dict[str, Any] | None = None
    kernels: list[dict[str, Any]] = []


class Move(msgspec.Struct, frozen=True):
    """One step of a kernel, or with `kernel_id` None of the session, and its cause."""

    at: str
    kernel_id: str | None = None
    from_status: str | None = msgspec.field(name="from", default=None)
    to_status: str = msgspec.field(name="to", default="")
    event: str | None = None
    reason: str | None = None
    detail: Any = None


class FileEntry(msgspec.Struct, frozen=True):
    """A file in a session. `size` in bytes, `mode` as `-rw-r--r--`, times in epoch seconds."""

    filename: str
    size: int = 0
    mode: str = ""
    mtime: float = 0.0
    ctime: float = 0.0
    atime: float = 0.0


class SessionEvent(msgspec.Struct, frozen=True, rename="camel"):
    """One event of a session or of a kernel of it, such as `session_started`."""

    name: str = ""
    reason: str | None = None
    session_id: str | None = None
    session_name: str | None = None
    exit_code: int | None = None
    kernel_id: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands of a batch execution, run in this order by a shell in /home/work.

    `*` means the image's own default; None leaves the step out.
    """

    clean: str | None = None
    build: str | None = None
    exec: str | None = None


class Step(msgspec.Struct, frozen=True, rename="camel"):
    """A part of an execution: what was printed since the last one, and where it stands.

    `console` holds (kind, content) pairs: `stdout` and `stderr` with text, `media` with
    [MIME type, data], `html`, `log`. `options` has `is_password` with `waiting-input`.
    """

    status: str
    console: list[tuple[str, Any]] = []
    exit_code: int | None = None
    options: dict[str, Any] | None = None
    files: list[dict[str, Any]] | None = None
    msg: str = ""
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A finished execution. `media` are the printed items that are not text."""

    exit_code: int
    stdout: str
    stderr: str
    media: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """The code asks for a line."""

    is_password: bool


Scope = Literal["*", "session", "kernel"]


class Hello(msgspec.Struct, frozen=True):
    """Versions of the API and of the manager."""

    version: str
    manager: str = ""
