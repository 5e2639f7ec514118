"""Sessions: start, look at, change and end them, run code in them, move files."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import msgspec

from backendai.client.channel import TOKEN_HEADER, Call, Channel, convert, decode, path_of
from backendai.client.events import follow_events
from backendai.client.execution import OnInput, collect, stream_steps
from backendai.client.faults import NotRunning
from backendai.client.graph import Graph
from backendai.client.results import (
    ENDING,
    LIVE,
    RUNNING,
    Batch,
    Commit,
    Created,
    FileEntry,
    IdleCheck,
    Move,
    NewSession,
    Page,
    Result,
    Scope,
    SessionEvent,
    SessionInfo,
    Step,
    Why,
)
from backendai.client.transport import raise_for_status
from backendai.common.faults import Fault, FileNotFound

_LIST_TYPES: Final = {
    "limit": "Int!",
    "offset": "Int!",
    "status": "String",
    "access_key": "String",
    "filter": "String",
    "order": "String",
}


class Sessions:
    """`session` is a name or an id everywhere. Every method raises the server's fault."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._graph = Graph(channel)

    async def create(self, new: NewSession, *, token: str = "") -> Created:
        """Start a session; waits until it runs unless told otherwise.

        Sent with a client token (`token`, or a new one), so asking again after a lost connection
        starts nothing twice. Faults: SessionAlreadyExists, ImageNotFound, QuotaExceeded, ….
        """
        call = Call(
            method="POST",
            path="/session",
            json=_creation_body(new, self._channel.config.domain, self._channel.config.project),
            headers={TOKEN_HEADER: token or self._channel.new_token()},
            repeatable=True,
            timeout_seconds=None,
        )
        return await self._channel.ask_for(Created, call)

    async def info(self, session: str) -> SessionInfo:
        facts = await self._channel.ask_for(dict[str, Any], _get(session))
        info = convert(SessionInfo, facts)
        return msgspec.structs.replace(info, facts=facts)

    async def list(
        self,
        statuses: Sequence[str] = LIVE,
        *,
        limit: int = 100,
        offset: int = 0,
        filter: str | None = None,  # noqa: A002 - the word of the API
        order: str | None = None,
        access_key: str | None = None,
    ) -> Page:
        """One page of at most 100, `filter`ed (`name == "a"`) and in `order` (`-created_at`)."""
        args = {
            "limit": limit,
            "offset": offset,
            "status": ",".join(statuses),
            "access_key": access_key,
            "filter": filter,
            "order": order,
        }
        found = await self._graph.find(Page, "compute_session_list", _LIST_TYPES, args)
        return Page([], 0) if found is None else found

    async def destroy(self, session: str, *, forced: bool = False, recursive: bool = False) -> None:
        """End a session. Forced also ends what is stuck; recursive also what depends on it.

        Asked again when the connection was lost: that it is gone then counts as done.
        """
        flags = {
            "forced": "true" if forced else None,
            "recursive": "true" if recursive else None,
        }
        path = path_of("session", session)
        call = Call(method="DELETE", path=path, query=flags, repeatable=True)
        sent = await self._channel.send(call)
        if sent.is_repeated and await self._is_ending(session, sent.answer.status):
            return
        raise_for_status(sent.answer)

    async def restart(self, session: str) -> None:
        await self._channel.ask(
            Call(method="PATCH", path=path_of("session", session), timeout_seconds=None)
        )

    async def rename(self, session: str, name: str) -> None:
        await self._channel.ask(_post(session, "rename", query={"name": name}))

    async def extend(self, session: str) -> dict[str, IdleCheck]:
        """Let the time anew begin after which the session would be ended for being idle.

        What checkers say of it then, by their names; its lifetime stays as it is.
        """
        answer = await self._channel.ask_for(dict[str, Any], _post(session, "extend"))
        return convert(dict[str, IdleCheck], answer.get("idleChecks", {}))

    async def commit(self, session: str, name: str | None = None) -> Commit:
        """Begin to make an image of what the session wrote outside of its mounts; it runs on.

        `name` may have a tag; without one it is the session's with the time. Never asked twice: who
        asks again while it is being made gets the same task, which `Client.tasks` follows. Faults:
        Conflict, NotOffered, QuotaExceeded, ….
        """
        call = _post(session, "commit", json={"image_name": name} if name else {})
        return await self._channel.ask_for(Commit, call)

    async def commit_status(self, session: str) -> Commit:
        """Whether an image is being made of the session now."""
        return await self._channel.ask_for(Commit, _get(session, "commit"))

    async def interrupt(self, session: str) -> None:
        """Stop the code that runs now, as Ctrl-C does; the session and its state stay."""
        await self._channel.ask(_post(session, "interrupt"))

    async def complete(self, session: str, code: str, row: int, column: int) -> tuple[str, ...]:
        """Possible continuations of `code` at a position, counted from 0."""
        line = code.split("\n")[row] if code else ""
        options = {"row": row, "col": column, "line": line, "post": line[column:]}
        body = {"code": code, "options": options}
        answer = await self._channel.ask_for(dict[str, Any], _post(session, "complete", json=body))
        return convert(tuple[str, ...], answer.get("result", {}).get("completions", []))

    async def logs(self, session: str) -> str:
        """What the session printed: live, and kept after its end."""
        answer = await self._channel.ask_for(dict[str, Any], _get(session, "logs"))
        return str(answer.get("result", {}).get("logs", ""))

    async def why(self, session: str) -> Why:
        """Why the session is in its status, above all why it waits."""
        return await self._channel.ask_for(Why, _get(session, "why"))

    async def history(self, session: str) -> tuple[Move, ...]:
        """Every move of every kernel with its cause, oldest first."""
        call = _get(session, "status-history", query={"full": "1"})
        answer = await self._channel.ask_for(dict[str, Any], call)
        return convert(tuple[Move, ...], answer.get("history", []))

    def events(self, session: str, *, scope: Scope = "*") -> AsyncGenerator[SessionEvent, None]:
        """Events from now on, through reconnections, until the session ends or the caller stops."""
        return follow_events(self._channel, session, scope)

    async def execute(
        self,
        session: str,
        code: str = "",
        *,
        batch: Batch | None = None,
        on_input: OnInput | None = None,
    ) -> AsyncGenerator[Step, None]:
        """Run `code`, or the commands of `batch`, and yield what is printed as it comes.

        The last step has the status `finished` and the exit code. `on_input` answers prompts of the
        code (a function or coroutine function of a Prompt); without it a prompt is an empty line.
        Leaving the iteration early interrupts the code. Raises ExecutionBroken.
        """
        try:
            run = stream_steps(self._channel, session, code, batch, on_input)
            async with aclosing(run) as steps:
                async for step in steps:
                    yield step
        except Fault as fault:
            if fault.code.startswith("unknown."):
                # A refused upgrade tells only a status: plain words need a plain request.
                await self.require_running(session)
            raise

    async def require_running(self, session: str) -> None:
        """Raises NotRunning unless code can run in it now."""
        status = (await self.info(session)).status
        if status not in RUNNING:
            raise NotRunning(
                f"It is {status}; code runs in a session that is RUNNING.",
                {"session": session, "status": status},
            )

    async def run_code(
        self,
        session: str,
        code: str = "",
        *,
        batch: Batch | None = None,
        on_input: OnInput | None = None,
    ) -> Result:
        """`execute` to its end, with everything printed put together."""
        return await collect(self.execute(session, code, batch=batch, on_input=on_input))

    async def upload(
        self, session: str, files: Iterable[Path | str], *, base: Path | str = "."
    ) -> None:
        """Copy files into /home/work, under their paths relative to `base`."""
        from backendai.client import archive  # slow to load, and few need it

        content_type, body = archive.pack_form(list(map(Path, files)), Path(base))
        call = _post(session, "upload", body=body, content_type=content_type)
        await self._channel.ask(call)

    async def download(
        self, session: str, files: Sequence[str], *, destination: Path | str = "."
    ) -> tuple[Path, ...]:
        """Copy files or folders of /home/work into `destination`; gives what was written."""
        from backendai.client import archive

        call = _get(session, "download", json={"files": list(files)})
        answer = await self._channel.ask(call)
        content_type = answer.headers.get("content-type", "")
        return archive.unpack_parts(content_type, answer.body, Path(destination))

    async def list_files(self, session: str, path: str = ".") -> tuple[FileEntry, ...]:
        """What a folder of the session holds. Raises FileNotFound."""
        answer = await self._channel.ask_for(
            dict[str, Any], _get(session, "files", json={"path": path})
        )
        if answer.get("errors"):
            raise FileNotFound(str(answer["errors"]).strip())
        return decode(tuple[FileEntry, ...], str(answer.get("files") or "[]").encode())

    async def _is_ending(self, session: str, http_status: int) -> bool:
        """Whether a refusal to end a session once more tells that it ends already."""
        if http_status == HTTPStatus.FORBIDDEN:
            return (await self.info(session)).status == ENDING
        return http_status == HTTPStatus.NOT_FOUND


def _get(session: str, *path: str, **options: Any) -> Call:
    return Call(method="GET", path=path_of("session", session, *path), repeatable=True, **options)


def _post(session: str, operation: str, **options: Any) -> Call:
    return Call(method="POST", path=path_of("session", session, operation), **options)


def _creation_body(new: NewSession, domain: str, project: str) -> dict[str, Any]:
    return {
        "name": new.name,
        "image": new.image,
        "type": new.type,
        "domain": domain,
        "group": project,
        "architecture": new.architecture,
        "clusterSize": new.cluster_size,
        "clusterMode": new.cluster_mode,
        "tag": new.tag,
        "enqueueOnly": new.enqueue_only,
        "maxWaitSeconds": new.max_wait_seconds,
        "reuseIfExists": new.reuse,
        "startupCommand": new.startup_command,
        "bootstrap_script": new.bootstrap_script,
        "starts_at": new.starts_at,
        "dependencies": [*new.dependencies],
        "callback_url": new.callback_url,
        "owner_access_key": new.owner_access_key,
        "config": _creation_config(new),
    }


def _creation_config(new: NewSession) -> dict[str, Any]:
    shared_memory = {"shmem": new.shared_memory} if new.shared_memory else {}
    config = {
        "mounts": [*new.mounts],
        "mount_map": {name: path for name, path in new.mounts.items() if path},
        "mount_options": {
            name: {"type": "bind", "permission": word}
            for name, word in new.mount_permissions.items()
        },
        "environ": dict(new.environ),
        "resources": dict(new.resources),
        "resource_opts": shared_memory,
        "scalingGroup": new.resource_group,
        "preopen_ports": [*new.preopen_ports] or None,
    }
    return config | ({"agentList": [*new.agents]} if new.agents else {})
