"""The frames between an agent and the runner inside a container, and the files they share in the
run directory.

The runner listens; the agent asks. Each frame is a 4-byte big-endian length and a msgpack map; a
request's `id` comes back with its reply, and several requests may be in flight on one connection.
The runner holds all state of a run, so whoever asks next, over any connection, goes on where the
last one was.

Beside it is a second socket, the door: one `Connect` on a connection, one answer, and with it the
descriptor of a socket that is connected to an app inside the container.
"""

from typing import Final, Literal

import msgspec

PROTOCOL_VERSION = 1
FRAME_BYTES_MAX = 16 * 1024 * 1024
DOOR_FRAME_BYTES_MAX: Final = 4096
LENGTH_BYTES = 4
PORT_MAX: Final = 65535

SOCKET_NAME = "runner.sock"
DOOR_NAME: Final = "connect.sock"
APPS_NAME: Final = "apps"
SETUP_NAME = "kernel.json"
EXIT_NAME = "exit.json"
LOG_PATH = "log/console.log"

Mode = Literal["query", "batch", "input", "continue"]
RunStatus = Literal[
    "continued", "waiting-input", "clean-finished", "build-finished", "finished", "exec-timeout"
]
ConsoleItem = tuple[str, str | tuple[str, str]]
FailureCode = Literal[
    "bad-request",
    "bad-path",
    "bad-offset",
    "busy",
    "download-expired",
    "internal",
    "io-error",
    "not-found",
    "not-started",
    "not-waiting-input",
    "refused",
    "too-large",
    "unknown-app",
    "unknown-run",
]


class FrameError(ValueError):
    """What arrived is not a frame of this protocol; the connection it came on is of no more use."""


class HomeFile(msgspec.Struct, frozen=True):
    """A file of the kernel's home: a path below the work directory, three octal digits, a text."""

    path: str
    permission: str
    data: str


class MountedFolder(msgspec.Struct, frozen=True, kw_only=True):
    """The directory that has to be mounted at `target`, as stat(2) tells it apart from others."""

    target: str
    device: int
    inode: int


class DeclaredApp(msgspec.Struct, frozen=True, kw_only=True):
    """An app that the image's label or the session names: `protocol` in the API's words."""

    name: str
    protocol: str
    ports: list[int]


class KernelSetup(msgspec.Struct, frozen=True, kw_only=True):
    """`kernel.json`: one kernel's configuration, written by the agent before the runner starts.

    `environ` is laid over the image's own environment. `runtime_path` is the image's interpreter (a
    path or a name to search in PATH); empty means `python3`. `uid` and `gid` are taken on when
    the runner is started as root. `exec_timeout_seconds` 0 means that a run may last for ever.
    `cluster_key`, 32 bytes in hexadecimal digits, is what all kernels of a session make the same
    key for SSH of, by which siblings are let in; empty: there are none. `files` are laid into
    the work directory before the bootstrap script runs. The runner ends at once when another
    directory than one of `folders` is mounted in its place. `apps` are offered beside those that
    the runner brings or finds itself.
    """

    kernel_id: str
    generation: int = 0
    session_type: Literal["interactive", "batch"] = "interactive"
    startup_command: str | None = None
    bootstrap_script: str | None = None
    environ: dict[str, str] = {}
    work_dir: str = "/home/work"
    runtime_path: str = ""
    uid: int | None = None
    gid: int | None = None
    exec_timeout_seconds: float = 0
    grace_seconds: float = 5.0
    files: list[HomeFile] = []
    folders: list[MountedFolder] = []
    apps: list[DeclaredApp] = []
    cluster_key: str = ""


class ExitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`exit.json`: how the runner ended; written atomically before it exits, so that no short job
    is lost.

    `reason` is `finished` (the startup command ended by itself), `terminated` (a signal) or
    `shutdown` (the agent asked). `ended_at` is seconds since the epoch.
    """

    exit_code: int
    reason: Literal["finished", "terminated", "shutdown"]
    ended_at: float


class AppEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An app that the kernel offers. The ports of a built-in one are names only: it listens on none
    of them.
    """

    name: str
    protocol: str
    ports: list[int]
    is_running: bool = False


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """Asks who is there."""


class HelloReply(msgspec.Struct, frozen=True, kw_only=True, tag="hello-reply"):
    """`python` is the user's interpreter, empty when it is the bundle's; `started_at` in seconds
    since the epoch.

    `bootstrap_exit_code` is None while the bootstrap script runs or when there is none;
    `reason` says in words what went wrong so far, and is empty when nothing did. `apps` are those
    offered now.
    """

    version: int
    pid: int
    python: str
    query_ready: bool
    started_at: float
    bootstrap_exit_code: int | None = None
    reason: str = ""
    apps: list[AppEntry] = []


class BatchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Shell commands of a batch run: `*` is the default of the stage, None or empty skips it."""

    clean: str | None = None
    build: str | None = None
    exec: str | None = None
    buildLog: bool = False  # noqa: N815 - the client's word


class Execute(msgspec.Struct, frozen=True, kw_only=True, tag="execute"):
    """Starts a run (query, batch), answers its question (input) or asks for more (continue).

    A query or batch with a `run_id` that is known already only asks for more, so it may be sent
    again. `after` is the `sequence` of the last reply that arrived; when the reply after it was
    lost it is sent again.
    """

    run_id: str
    mode: Mode
    code: str = ""
    options: BatchOptions | None = None
    flush_seconds: float = 2.0
    after: int | None = None


class ExecuteReply(msgspec.Struct, frozen=True, kw_only=True, tag="execute-reply"):
    """What a run printed since the last reply, in order, and where it stands.

    `console` items are `(stdout|stderr|html, text)` or `("media", (mime, base64 or text))`.
    `exit_code` is set for the three finished statuses; `options` is `{"is_password": bool}` for
    waiting-input.
    """

    run_id: str
    status: RunStatus
    sequence: int
    exit_code: int | None = None
    console: list[ConsoleItem] = []
    options: dict[str, bool] | None = None


class Interrupt(msgspec.Struct, frozen=True, tag="interrupt"):
    """Sends SIGINT to the user code that runs now."""


class InterruptReply(msgspec.Struct, frozen=True, tag="interrupt-reply"):
    """`interrupted` is False when nothing was running."""

    interrupted: bool


class Complete(msgspec.Struct, frozen=True, kw_only=True, tag="complete"):
    """Asks for completions at (`row`, `col`), zero-based; `line` is the text of that row, `post`
    what follows.
    """

    code: str
    row: int = 0
    col: int = 0
    line: str = ""
    post: str = ""


class CompleteReply(msgspec.Struct, frozen=True, tag="complete-reply"):
    """Empty while user code runs: its namespace is looked at only between runs."""

    completions: list[str]


class Upload(msgspec.Struct, frozen=True, kw_only=True, tag="upload"):
    """One piece of a file; offset 0 begins (again), `last` puts the whole file in place at once.

    The same piece given once more, because its reply was lost, is accepted and changes nothing.
    """

    path: str
    offset: int
    data: bytes
    last: bool


class UploadReply(msgspec.Struct, frozen=True, tag="upload-reply"):
    """`offset` is how many bytes of the file the runner has."""

    offset: int


class Download(msgspec.Struct, frozen=True, kw_only=True, tag="download"):
    """Asks for a piece of the uncompressed tar of `path`; offset 0 takes a new look at the tree."""

    path: str
    offset: int = 0


class DownloadReply(msgspec.Struct, frozen=True, kw_only=True, tag="download-reply"):
    """`total_bytes` is the length of the whole archive."""

    data: bytes
    total_bytes: int
    last: bool


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a folder; `mode` reads like `-rw-r--r--`, times are seconds since the epoch."""

    filename: str
    size: int
    mode: str
    mtime: float
    ctime: float
    atime: float


class ListFiles(msgspec.Struct, frozen=True, kw_only=True, tag="list-files"):
    """Asks for the entries of a folder, or the one entry of a file."""

    path: str = "."


class ListFilesReply(msgspec.Struct, frozen=True, kw_only=True, tag="list-files-reply"):
    """`errors` names what could not be read or was left out; empty when nothing was."""

    entries: list[FileEntry]
    abspath: str
    errors: str = ""


class Status(msgspec.Struct, frozen=True, tag="status"):
    """Asks where the runner stands; costs next to nothing."""


class StatusReply(msgspec.Struct, frozen=True, kw_only=True, tag="status-reply"):
    """`active_run` is the run that executes now, `queued_runs` how many wait behind it."""

    phase: Literal["booting", "serving", "ending"]
    query_ready: bool
    active_run: str | None = None
    queued_runs: int = 0
    bootstrap_exit_code: int | None = None
    reason: str = ""


class StartApp(msgspec.Struct, frozen=True, kw_only=True, tag="start-app"):
    """Asks for an app to run; one that runs already is left as it is, whatever is asked of it.

    `port` is one of the app's, None for all of them. `arguments` are words of its command line:
    a name, and the value or values that follow it; `envs` are laid over its environment.
    """

    name: str
    port: int | None = None
    arguments: dict[str, str | list[str] | None] = {}
    envs: dict[str, str] = {}


class StartAppReply(msgspec.Struct, frozen=True, kw_only=True, tag="start-app-reply"):
    """The app answers on its ports; `is_new` is False when it did already."""

    protocol: str
    ports: list[int]
    is_new: bool


class StopApp(msgspec.Struct, frozen=True, kw_only=True, tag="stop-app"):
    """Asks for an app to be ended: SIGTERM, a grace, SIGKILL."""

    name: str


class StopAppReply(msgspec.Struct, frozen=True, tag="stop-app-reply"):
    """`was_running` is False when the runner had not started it."""

    was_running: bool


class ListApps(msgspec.Struct, frozen=True, tag="list-apps"):
    """Asks which apps are offered now."""


class ListAppsReply(msgspec.Struct, frozen=True, tag="list-apps-reply"):
    """In the order of preference: of two with one name only the first is there."""

    apps: list[AppEntry]


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown"):
    """Asks the runner to end: user processes get SIGTERM, a grace, SIGKILL."""


class ShutdownReply(msgspec.Struct, frozen=True, tag="shutdown-reply"):
    """The runner is on its way out."""


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """The request was not carried out; `message` is fit to be shown to the user."""

    code: FailureCode
    message: str


class Connect(msgspec.Struct, frozen=True, kw_only=True, tag="connect"):
    """At the door: asks for a socket connected to an app; `port` 0 is its first."""

    app: str
    port: int = 0


class ConnectReply(msgspec.Struct, frozen=True, tag="connect-reply"):
    """With the first byte of its frame comes the descriptor, exactly one."""


Ask = (
    Hello
    | Execute
    | Interrupt
    | Complete
    | Upload
    | Download
    | ListFiles
    | Status
    | StartApp
    | StopApp
    | ListApps
    | Shutdown
)
Answer = (
    HelloReply
    | ExecuteReply
    | InterruptReply
    | CompleteReply
    | UploadReply
    | DownloadReply
    | ListFilesReply
    | StatusReply
    | StartAppReply
    | StopAppReply
    | ListAppsReply
    | ShutdownReply
    | Failure
)


class Request(msgspec.Struct, frozen=True):
    """From the agent: `id` is any number that is not in flight on this connection."""

    id: int
    body: Ask


class Reply(msgspec.Struct, frozen=True):
    """From the runner: `id` is the request's."""

    id: int
    body: Answer


class Envelope(msgspec.Struct, frozen=True):
    """Only the number of a request, to answer one whose body makes no sense."""

    id: int


_encoder = msgspec.msgpack.Encoder()
_request_decoder = msgspec.msgpack.Decoder(Request)
_reply_decoder = msgspec.msgpack.Decoder(Reply)
_envelope_decoder = msgspec.msgpack.Decoder(Envelope)
_connect_decoder = msgspec.msgpack.Decoder(Connect)
_connect_reply_decoder: msgspec.msgpack.Decoder[ConnectReply | Failure] = msgspec.msgpack.Decoder(
    ConnectReply | Failure
)


def encode_frame(message: Request | Reply | Connect | ConnectReply | Failure) -> bytes:
    """The length and the message; raises FrameError when it is over FRAME_BYTES_MAX."""
    buffer = bytearray(LENGTH_BYTES)
    _encoder.encode_into(message, buffer, LENGTH_BYTES)
    length = len(buffer) - LENGTH_BYTES
    if length > FRAME_BYTES_MAX:
        raise FrameError(f"a message of {length} bytes is over the limit of {FRAME_BYTES_MAX}")
    buffer[:LENGTH_BYTES] = length.to_bytes(LENGTH_BYTES, "big")
    return bytes(buffer)


def decode_length(head: bytes, bytes_max: int = FRAME_BYTES_MAX) -> int:
    """The length of the message that follows; raises FrameError for an empty or too long one."""
    length = int.from_bytes(head, "big")
    if not 0 < length <= bytes_max:
        raise FrameError(f"a frame of {length} bytes: allowed are 1 to {bytes_max}")
    return length


def decode_request(payload: bytes) -> Request:
    """Raises FrameError when the payload is no request."""
    try:
        return _request_decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FrameError(f"not a request: {error}") from error


def decode_reply(payload: bytes) -> Reply:
    """Raises FrameError when the payload is no reply."""
    try:
        return _reply_decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FrameError(f"not a reply: {error}") from error


def decode_connect(payload: bytes) -> Connect:
    """Raises FrameError when the payload asks for no connection."""
    try:
        return _connect_decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FrameError(f"not a request to connect: {error}") from error


def decode_connect_reply(payload: bytes) -> ConnectReply | Failure:
    """Raises FrameError when the payload is no answer to a Connect."""
    try:
        return _connect_reply_decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FrameError(f"not an answer to a request to connect: {error}") from error


def find_request_id(payload: bytes) -> int | None:
    """The number of a request that could not be decoded, when at least that is there."""
    try:
        return _envelope_decoder.decode(payload).id
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
