"""The calls about the files of a folder; their bytes are the work of `transfers`."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from backendai.client.channel import Call, Channel, decode, path_of
from backendai.client.results import FileEntry
from backendai.client.vfolders.rows import Made, Ticket
from backendai.client.vfolders.trees import TOP
from backendai.common.faults import BadRequest, FileNotFound

# What one request may name.
PATHS_MAX: Final = 1000
COPY_SECONDS: Final = 900.0


class FolderFiles:
    """A folder is named by its name or id, a path in it from its top on."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def list_files(self, folder: str, path: str = TOP) -> tuple[FileEntry, ...]:
        """What a directory holds, by name. Raises FileNotFound, BadRequest for what is none."""
        call = Call(
            method="GET",
            path=path_of("folders", folder, "files"),
            json={"path": path},
            repeatable=True,
        )
        answer = await self._channel.ask_for(dict[str, Any], call)
        return decode(tuple[FileEntry, ...], str(answer.get("files") or "[]").encode())

    async def find_file(self, folder: str, path: str) -> FileEntry | None:
        """What is at `path`, which is not the top; None where nothing is."""
        above, _, name = path.rpartition("/")
        try:
            found = await self.list_files(folder, above or TOP)
        except FileNotFound:
            return None
        return next((entry for entry in found if entry.filename == name), None)

    async def mkdir(
        self,
        folder: str,
        paths: Sequence[str],
        *,
        parents: bool = True,
        exist_ok: bool = False,
    ) -> None:
        """Raises BadRequest for the first that could not be made."""
        for some in _by_thousand(paths):
            body = {"path": some, "parents": parents, "exist_ok": exist_ok}
            call = Call(
                method="POST",
                path=path_of("folders", folder, "mkdir"),
                json=body,
                repeatable=exist_ok,
            )
            answer = await self._channel.ask_for(dict[str, dict[str, tuple[Made, ...]]], call)
            for failed in answer["results"]["failed"]:
                raise BadRequest(f"{failed.item}: {failed.msg}", {"paths": [failed.item]})

    async def delete_files(
        self, folder: str, paths: Sequence[str], *, recursive: bool = False
    ) -> None:
        """For good. A directory takes `recursive`. Raises FileNotFound, BadRequest."""
        for some in _by_thousand(paths):
            body = {"files": some, "recursive": recursive}
            path = path_of("folders", folder, "delete-files")
            await self._channel.ask(Call(method="DELETE", path=path, json=body))

    async def move_file(self, folder: str, source: str, target: str) -> None:
        """To the path `target`, or into it where it is a directory. Raises Conflict."""
        path = path_of("folders", folder, "move-file")
        await self._channel.ask(Call(method="POST", path=path, json={"src": source, "dst": target}))

    async def copy_file(self, folder: str, source: str, target: str) -> None:
        """Within the folder, a file or a directory with all in it; else as `move_file`."""
        path = path_of("folders", folder, "copy-file")
        body = {"src": source, "dst": target}
        call = Call(method="POST", path=path, json=body, timeout_seconds=COPY_SECONDS)
        await self._channel.ask(call)

    async def rename_file(self, folder: str, path: str, new_name: str) -> None:
        """Within its directory. Raises Conflict."""
        body = {"target_path": path, "new_name": new_name}
        call = Call(method="POST", path=path_of("folders", folder, "rename-file"), json=body)
        await self._channel.ask(call)

    async def begin_upload(self, folder: str, path: str, size: int) -> Ticket:
        """Of a file of `size` bytes, which replaces the one that is there; an empty one is made at
        once. Directories above it are made."""
        return await self._ask_ticket(folder, "request-upload", {"path": path, "size": size})

    async def begin_download(self, folder: str, path: str) -> Ticket:
        return await self._ask_ticket(folder, "request-download", {"path": path})

    async def begin_archive(self, folder: str, paths: Sequence[str]) -> Ticket:
        """Of one archive of files and directories; the top is everything. Raises BadRequest for
        more names than an address holds."""
        is_all = TOP in paths
        body = {"path": TOP, "archive": True} if is_all else {"files": list(paths)}
        return await self._ask_ticket(folder, "request-download", body)

    async def begin_extraction(self, folder: str, path: str, into: str, *, removes: bool) -> Ticket:
        body = {"path": path, "into": into, "remove": removes}
        return await self._ask_ticket(folder, "request-extract", body)

    async def _ask_ticket(self, folder: str, word: str, body: dict[str, Any]) -> Ticket:
        # Of two tickets one is left to expire, so asking again does no harm.
        call = Call(
            method="POST", path=path_of("folders", folder, word), json=body, repeatable=True
        )
        return await self._channel.ask_for(Ticket, call)


def _by_thousand(paths: Sequence[str]) -> Iterator[list[str]]:
    for begin in range(0, len(paths), PATHS_MAX):
        yield list(paths[begin : begin + PATHS_MAX])
