"""What a manager may ask of an agent.

`ENSURE` says what shall be; `OBSERVE` says what is. Both are idempotent and carry generations, so a
lost reply costs a repetition and nothing else. The remaining calls speak with the runner inside a
running kernel.
"""

import enum
from typing import Annotated, Final

import msgspec

from backendai.common.rpc.call import Call
from backendai.common.tickets import APP_PATTERN, RELAY_KEY_BYTES

OBSERVE_WAIT_SECONDS_MAX: Final = 30.0
FILE_CHUNK_BYTES: Final = 4 * 1024 * 1024
GENERATION_MAX: Final = 10**9
APP_START_SECONDS: Final = 30.0
COMMIT_WAIT_SECONDS_MAX: Final = 10.0
PULL_WAIT_SECONDS_MAX: Final = 10.0
# Of the files of one kernel: three owners (user, project, domain) keep as many.
HOME_FILES_MAX: Final = 300
HOME_FILE_CHARS_MAX: Final = 64 * 1024
HOME_PATH_CHARS_MAX: Final = 256
MOUNTS_MAX: Final = 100
# What the names of networks of sessions begin with; the session's id follows.
CLUSTER_NETWORK_PREFIX: Final = "bai-"
CLUSTER_NETWORK_PATTERN: Final = r"\Abai-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z"
# The label that tells one commit from all others.
COMMIT_LABEL: Final = "ai.backend.customized-image.id"


class Desired(enum.StrEnum):
    RUNNING = "running"
    GONE = "gone"


class KernelState(enum.StrEnum):
    """What an agent knows of one generation of a kernel.

    FAILED, EXITED and GONE are proofs: nothing of that generation runs on this node any more.
    UNKNOWN means that the engine cannot be asked now; it never counts as dead.
    """

    WAITING = "waiting"  # accepted, not begun
    PULLING = "pulling"
    PREPARING = "preparing"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"
    EXITED = "exited"
    GONE = "gone"
    UNKNOWN = "unknown"


class HomeFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the home of a kernel. `path` is below it, `permission` three octal digits."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=HOME_PATH_CHARS_MAX)]
    permission: Annotated[str, msgspec.Meta(pattern=r"\A[0-7]{3}\Z")]
    data: Annotated[str, msgspec.Meta(max_length=HOME_FILE_CHARS_MAX)]

    def __repr__(self) -> str:
        # Passwords are kept in such files: what is in them must get into no log.
        return f"HomeFile(path={self.path!r}, permission={self.permission!r})"


class FolderMount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A folder, or what lies at `subpath` in it, seen at `target` in a kernel.

    `volume` is its storage host (`local:volume1`). `volume_path` is where that is mounted on every
    node, proved there by a file with `volume_id`; `path` is the folder's own, below it. An
    unmanaged folder has no volume: its `path` is a directory that administrators keep on nodes.
    """

    name: str
    volume: str
    volume_id: str
    volume_path: str
    path: str
    target: str
    subpath: str = "."
    read_only: bool = False

    @property
    def is_unmanaged(self) -> bool:
        return not self.volume


class ClusterKey(msgspec.Struct, frozen=True):
    """What all kernels of a session make the same key for SSH of: 32 bytes, hexadecimal."""

    seed: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]

    def __repr__(self) -> str:
        # It opens every kernel of the session: it must get into no log.
        return "ClusterKey()"


class KernelSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything an agent needs to make the container of one kernel.

    `slots` maps slot names to exact amounts as text (cores, bytes, devices). `environ` is what the
    user asked for; the agent adds its own variables, which win. `files` are laid into the home at
    each start, before anything else runs there. No target of `mounts` lies in another's.
    `cluster_is_spread` says that siblings may be on other nodes: `cluster_network` is one of the
    swarm then, which a node that manages it is told to make.
    """

    session_id: str
    session_name: str
    session_type: str
    image: str
    image_digest: str = ""
    architecture: str = "x86_64"
    slots: dict[str, str]
    shared_memory_bytes: int = 64 * 1024 * 1024
    environ: dict[str, str] = {}
    startup_command: str = ""
    bootstrap_script: str = ""
    cluster_role: str = "main"
    cluster_index: int = 1
    cluster_size: int = 1
    cluster_hostname: str = "main1"
    cluster_network: str = ""
    cluster_is_spread: bool = False
    cluster_key: ClusterKey | None = None
    cluster_hosts: list[str] = []
    owner_access_key: str = ""
    owner_email: str = ""
    domain: str = ""
    project: str = ""
    preopen_ports: list[int] = []
    runtime_path: str = ""
    pull: bool = True
    files: Annotated[list[HomeFile], msgspec.Meta(max_length=HOME_FILES_MAX)] = []
    mounts: Annotated[list[FolderMount], msgspec.Meta(max_length=MOUNTS_MAX)] = []


class RegistryLogin(msgspec.Struct, frozen=True, kw_only=True):
    """Opens the registry whose images have names that begin with `hostname`. It is kept in memory
    alone, and for no longer than an order needs it."""

    hostname: str
    username: str
    password: str

    def __repr__(self) -> str:
        return f"RegistryLogin(hostname={self.hostname!r}, username={self.username!r})"


class EnsureKernel(msgspec.Struct, frozen=True, kw_only=True):
    """Desire for one kernel. A lower generation than the agent has seen is refused (`stale`).

    `login` is for pulling the image of `spec`.
    """

    kernel_id: str
    generation: int
    desired: Desired
    spec: KernelSpec | None = None
    reason: str = ""
    grace_seconds: float = 5.0
    login: RegistryLogin | None = None


class ResourceUse(msgspec.Struct, frozen=True, kw_only=True):
    """Usage of one kernel, from cgroup files. Times and counts since its start.

    `sampled_at` is when, in Unix seconds; 0 where that is not known. What went to its apps and came
    from them through the relay counts since the agent came up; `app_used_at`, in Unix seconds, is
    when one was last used, 0 when none was.
    """

    sampled_at: float = 0.0
    cpu_used_milliseconds: float = 0.0
    cpu_percent: float = 0.0
    memory_bytes: int = 0
    memory_bytes_max: int = 0
    io_read_bytes: int = 0
    io_write_bytes: int = 0
    network_received_bytes: int = 0
    network_sent_bytes: int = 0
    scratch_bytes: int = 0
    processes: int = 0
    app_received_bytes: int = 0
    app_sent_bytes: int = 0
    app_used_at: float = 0.0


class ServicePort(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    protocol: str
    ports: list[int]


class KernelReport(msgspec.Struct, frozen=True, kw_only=True):
    """The level of one kernel on this node. Times are Unix seconds (UTC).

    `asks_again` wants the order once more: a restart of the agent has lost what may not be written.
    """

    kernel_id: str
    session_id: str
    generation: int
    state: KernelState
    container_id: str = ""
    reason: str = ""
    detail: str = ""
    exit_code: int | None = None
    retriable: bool = False
    progress: str = ""
    asks_again: bool = False
    started_at: float | None = None
    ended_at: float | None = None
    slots: dict[str, str] = {}
    devices: dict[str, list[str]] = {}
    service_ports: list[ServicePort] = []
    use: ResourceUse | None = None


class ImageReport(msgspec.Struct, frozen=True, kw_only=True):
    """An image that this node has."""

    name: str
    digest: str
    architecture: str
    size_bytes: int
    labels: dict[str, str] = {}


class DeviceReport(msgspec.Struct, frozen=True, kw_only=True):
    """An accelerator: `amount` of `slot` that it offers, and how much of that kernels hold.

    A `problem` says why nothing new is put on it; what holds it stays. `kind` is a SlotType. None
    is what its driver does not tell.
    """

    slot: str
    device_id: str
    kind: str
    amount: str
    held: str = "0"
    problem: str = ""
    model: str = ""
    numa_node: int | None = None
    memory_bytes: int = 0
    memory_used_bytes: int | None = None
    utilisation_percent: float | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None


class DiskReport(msgspec.Struct, frozen=True, kw_only=True):
    """A file system of the node. `free_bytes` is what others than root may still write."""

    path: str
    total_bytes: int
    free_bytes: int


class SwarmReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The Docker Swarm that a node's engine is in; all empty: it is in none.

    `managers` are the swarm's ids of the nodes that manage it, as this node knows them. Who manages
    it knows its `swarm_id` too, and which networks of sessions are there, by their names.
    """

    node_id: str = ""
    swarm_id: str = ""
    managers: list[str] = []
    networks: list[str] = []


class AgentReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole level of one node. `version` grows with each change of anything but `use` and load.

    `capacity` is what may be given to kernels (reserved amounts already taken off). Of sick devices
    it has only what kernels hold. `relay_addr` is the `host:port` of the way to the kernels' apps;
    empty while there is none. `told_at` is Unix seconds by the node's clock; 0: not known.
    """

    agent_id: str
    instance: str
    version: int
    started_at: float
    daemon_version: str
    architecture: str
    region: str
    resource_group: str
    backend: str
    engine_reachable: bool
    engine_detail: str = ""
    halted: str = ""
    capacity: dict[str, str]
    kernels: list[KernelReport]
    images: list[ImageReport]
    cpu_percent: float = 0.0
    memory_used_bytes: int = 0
    told_at: float = 0.0
    disks: list[DiskReport] = []
    plugins: dict[str, str] = {}
    devices: list[DeviceReport] = []
    relay_addr: str = ""
    swarm: SwarmReport = SwarmReport()


class Observe(msgspec.Struct, frozen=True, kw_only=True):
    """Answer as soon as the report's version differs from `after`, or after `wait_seconds`.

    `instance` is the one that `after` belongs to: after a restart of the agent versions begin anew.
    """

    instance: str = ""
    after: int = 0
    wait_seconds: float = 0.0


class KernelRef(msgspec.Struct, frozen=True, kw_only=True):
    kernel_id: str
    generation: int


class Execute(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a run. `mode` is an ExecutionMode; `options` belong to batch mode."""

    kernel: KernelRef
    run_id: str
    mode: str
    code: str = ""
    options: dict[str, str | bool | None] = {}
    flush_seconds: float = 2.0


class ExecuteResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a step gave: `console` is a list of (type, content) in the order of output."""

    run_id: str
    status: str
    exit_code: int | None = None
    console: list[tuple[str, str | tuple[str, str]]] = []
    options: dict[str, bool] | None = None


class Complete(msgspec.Struct, frozen=True, kw_only=True):
    kernel: KernelRef
    code: str
    row: int = 0
    col: int = 0
    line: str = ""
    post: str = ""


class Completions(msgspec.Struct, frozen=True, kw_only=True):
    completions: list[str]


class ReadLogs(msgspec.Struct, frozen=True, kw_only=True):
    """The console log of a kernel, live or ended, at most the last `bytes_max` bytes."""

    kernel: KernelRef
    bytes_max: int = 8 * 1024 * 1024


class Logs(msgspec.Struct, frozen=True, kw_only=True):
    data: bytes
    truncated: bool = False


class UploadFile(msgspec.Struct, frozen=True, kw_only=True):
    """One chunk of a file below /home/work; `last` completes it under its name.

    Giving the last chunk again, after a lost reply, is accepted and changes nothing.
    """

    kernel: KernelRef
    path: str
    offset: int
    data: bytes
    last: bool


class DownloadFile(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the chunk at `offset` of an uncompressed tar of `path`."""

    kernel: KernelRef
    path: str
    offset: int = 0


class FileChunk(msgspec.Struct, frozen=True, kw_only=True):
    offset: int
    data: bytes
    last: bool


class ListFiles(msgspec.Struct, frozen=True, kw_only=True):
    kernel: KernelRef
    path: str = "."


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Times are Unix seconds; `mode` reads like `-rw-r--r--`."""

    filename: str
    size: int
    mode: str
    mtime: float
    ctime: float
    atime: float


class FileList(msgspec.Struct, frozen=True, kw_only=True):
    abspath: str
    files: list[FileEntry]
    errors: str = ""


class StartApp(msgspec.Struct, frozen=True, kw_only=True):
    """Have an app of a kernel run; one that runs already is left as it is.

    `port` is the one of the app's that is meant; None: its first. `arguments` and `envs` count when
    the app is started by this call: options of its command line and variables.
    """

    kernel: KernelRef
    app: Annotated[str, msgspec.Meta(pattern=APP_PATTERN)]
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    arguments: dict[str, str | list[str] | None] = {}
    envs: dict[str, str] = {}


class AppStarted(msgspec.Struct, frozen=True, kw_only=True):
    """The app accepts connections. The ports of one that is built in are names only: it is found by
    its own name, whatever port a ticket says."""

    protocol: str
    ports: list[int]


class StopApp(msgspec.Struct, frozen=True, kw_only=True):
    """End an app; one that does not run is as wanted."""

    kernel: KernelRef
    app: Annotated[str, msgspec.Meta(pattern=APP_PATTERN)]


class RelayKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that tickets for this agent's relay may be sealed with, the newest first."""

    keys: Annotated[
        list[
            Annotated[bytes, msgspec.Meta(min_length=RELAY_KEY_BYTES, max_length=RELAY_KEY_BYTES)]
        ],
        msgspec.Meta(min_length=1, max_length=2),
    ]

    def __repr__(self) -> str:
        # They open every app of the node: they must get into no log.
        return f"RelayKeys({len(self.keys)} keys)"


class CommitKernel(msgspec.Struct, frozen=True, kw_only=True):
    """Make an image of what the container of a kernel has written, while it runs on.

    `image` begins with CUSTOM_PREFIX. `labels` are put over those of the container's own image;
    COMMIT_LABEL among them says whether an image of that name is this one. `bytes_max` bounds what
    was written. Answered when it is made, or after `wait_seconds`: ask again then.
    """

    kernel: KernelRef
    image: str
    labels: dict[str, str]
    bytes_max: int
    wait_seconds: float = 0.0


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """`image` is None while the node still works on it."""

    image: ImageReport | None = None


class PullImage(msgspec.Struct, frozen=True, kw_only=True):
    """Have an image on this node; pulled also where `digest` is given and the node has another one
    of that name. Answered when it is there, or after `wait_seconds`: ask again then.
    """

    image: str
    digest: str = ""
    login: RegistryLogin | None = None
    wait_seconds: float = 0.0


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """`image` is None while the node still pulls it; `progress` reads like that of a kernel."""

    image: ImageReport | None = None
    progress: str = ""


class RemoveImage(msgspec.Struct, frozen=True, kw_only=True):
    """Remove the name of an image, and what only it needs; nothing is done where it is not there,
    or where `digest` is given and the name has come to mean another one."""

    image: str
    digest: str = ""


class EnsureNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """Have the network of a session in the swarm, or have it no more. One that kernels are still in
    stays, and so does one that is of somebody else."""

    name: Annotated[str, msgspec.Meta(pattern=CLUSTER_NETWORK_PATTERN)]
    is_wanted: bool


class Nothing(msgspec.Struct, frozen=True):
    """An empty request or reply."""


ENSURE: Final = Call("ensure", EnsureKernel, KernelReport, idempotent=True, deadline_seconds=10.0)
OBSERVE: Final = Call(
    "observe",
    Observe,
    AgentReport,
    idempotent=True,
    deadline_seconds=OBSERVE_WAIT_SECONDS_MAX + 10.0,
    is_poll=True,
)
EXECUTE: Final = Call("execute", Execute, ExecuteResult, idempotent=False, deadline_seconds=60.0)
INTERRUPT: Final = Call("interrupt", KernelRef, Nothing, idempotent=True, deadline_seconds=10.0)
COMPLETE: Final = Call("complete", Complete, Completions, idempotent=True, deadline_seconds=10.0)
LOGS: Final = Call("logs", ReadLogs, Logs, idempotent=True, deadline_seconds=20.0)
UPLOAD: Final = Call("upload", UploadFile, Nothing, idempotent=True, deadline_seconds=30.0)
DOWNLOAD: Final = Call("download", DownloadFile, FileChunk, idempotent=True, deadline_seconds=60.0)
LIST_FILES: Final = Call("list_files", ListFiles, FileList, idempotent=True, deadline_seconds=20.0)
START_APP: Final = Call(
    "start_app",
    StartApp,
    AppStarted,
    idempotent=True,
    deadline_seconds=APP_START_SECONDS + 5.0,
)
STOP_APP: Final = Call("stop_app", StopApp, Nothing, idempotent=True, deadline_seconds=20.0)
SET_RELAY_KEYS: Final = Call(
    "set_relay_keys", RelayKeys, Nothing, idempotent=True, deadline_seconds=10.0
)
COMMIT: Final = Call(
    "commit",
    CommitKernel,
    Committed,
    idempotent=True,
    deadline_seconds=COMMIT_WAIT_SECONDS_MAX + 20.0,
)
PULL_IMAGE: Final = Call(
    "pull_image",
    PullImage,
    Pulled,
    idempotent=True,
    deadline_seconds=PULL_WAIT_SECONDS_MAX + 20.0,
)
# As long as the engine takes to work.
REMOVE_IMAGE: Final = Call(
    "remove_image", RemoveImage, Nothing, idempotent=True, deadline_seconds=120.0
)

ENSURE_NETWORK: Final = Call(
    "ensure_network", EnsureNetwork, Nothing, idempotent=True, deadline_seconds=120.0
)

CONTRACT: Final = (
    ENSURE,
    OBSERVE,
    EXECUTE,
    INTERRUPT,
    COMPLETE,
    LOGS,
    UPLOAD,
    DOWNLOAD,
    LIST_FILES,
    START_APP,
    STOP_APP,
    SET_RELAY_KEYS,
    COMMIT,
    PULL_IMAGE,
    REMOVE_IMAGE,
    ENSURE_NETWORK,
)
