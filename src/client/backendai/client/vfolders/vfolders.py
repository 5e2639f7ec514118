"""Folders: made, listed, changed, put into the bin and out of it, copied, deleted for ever."""

from collections.abc import Sequence
from typing import Any

from backendai.client.channel import Call, path_of
from backendai.client.vfolders.archives import Archives
from backendai.client.vfolders.rows import (
    Clone,
    FolderUsage,
    Hosts,
    NewVfolder,
    Vfolder,
    VfolderInfo,
)
from backendai.client.vfolders.sharing import Permission, Sharing


class Vfolders(Sharing, Archives):
    """A folder is named by its name or its id. Methods raise VFolderNotFound, Forbidden, and
    Conflict for a folder whose status does not allow it."""

    async def list(
        self,
        *,
        is_all: bool = False,
        project: str | None = None,
        owner_email: str | None = None,
        is_deleting: bool = False,
    ) -> Sequence[Vfolder]:
        """Those that one may use; of `project` (an id) or an owner, or all, for administrators.
        `is_deleting`: those that are being deleted for ever, which are left out else."""
        given = {"all": is_all, "group_id": project, "owner_user_email": owner_email}
        body = {name: value for name, value in given.items() if value is not None}
        if is_deleting:
            body["deleting"] = True
        call = Call(method="GET", path="/folders", json=body, repeatable=True)
        return await self._channel.ask_for(tuple[Vfolder, ...], call)

    async def create(self, new: NewVfolder) -> Vfolder:
        """Raises VFolderExists, InvalidParams."""
        body = {
            "name": new.name,
            "host": new.host,
            "unmanaged_path": new.unmanaged_path,
            "group": new.project,
            "usage_mode": new.usage_mode,
            "permission": new.permission,
            "cloneable": new.cloneable,
        }
        return await self._channel.ask_for(Vfolder, Call(method="POST", path="/folders", json=body))

    async def info(self, folder: str) -> VfolderInfo:
        call = Call(method="GET", path=path_of("folders", folder), repeatable=True)
        return await self._channel.ask_for(VfolderInfo, call)

    async def rename(self, folder: str, new_name: str) -> None:
        """Raises VFolderExists, InvalidParams."""
        await self._channel.ask(_post(folder, "rename", {"new_name": new_name}))

    async def update_options(
        self,
        folder: str,
        *,
        cloneable: bool | None = None,
        permission: Permission | None = None,
    ) -> None:
        """What is None stays as it is."""
        body = {"cloneable": cloneable, "permission": permission}
        await self._channel.ask(_post(folder, "update-options", body))

    async def delete(self, folder: str) -> None:
        """Into the bin; its name is free then."""
        await self._channel.ask(Call(method="DELETE", path=path_of("folders", folder)))

    async def restore(self, folder: str) -> None:
        """Out of the bin. Raises VFolderExists when its name is taken."""
        path = "/folders/restore-from-trash-bin"
        await self._channel.ask(await self._by_id(path, folder))

    async def purge(self, folder: str) -> str | None:
        """Delete one that is in the bin for ever. Returns the task that does it."""
        call = await self._by_id("/folders/purge", folder)
        answer = await self._channel.ask_for(dict[str, str | None], call)
        return answer.get("bgtask_id")

    async def abandon(self, folder_id: str, *, is_forced: bool = False) -> None:
        """End one that is being deleted on a host that is no more, for superadmins. Files that it
        may still have stay there. Raises Conflict while its host is configured, but for
        `is_forced`."""
        body = {"id": folder_id, "force": is_forced}
        await self._channel.ask(Call(method="POST", path="/folders/_/abandon", json=body))

    async def clone(self, folder: str, new: NewVfolder) -> Clone:
        """Begin to copy it into a new one, which is ready when the task is over. Raises Forbidden
        for one that is not cloneable."""
        body = {
            "target_name": new.name,
            "target_host": new.host,
            "usage_mode": new.usage_mode,
            "permission": new.permission,
            "cloneable": new.cloneable,
        }
        return await self._channel.ask_for(Clone, _post(folder, "clone", body))

    async def hosts(self, project: str | None = None) -> Hosts:
        """Where folders of one's own, or of `project`, may be made."""
        query = {"group_id": project}
        call = Call(method="GET", path="/folders/_/hosts", query=query, repeatable=True)
        return await self._channel.ask_for(Hosts, call)

    async def quota(self, folder: str) -> int | None:
        """Bytes that the quota scope of the folder may hold; None is no limit."""
        answer = await self._look(folder, "quota")
        return None if answer["size_bytes"] < 0 else int(answer["size_bytes"])

    async def set_quota(self, folder: str, size_bytes: int | None) -> None:
        """Of the folder's quota scope, and so of all folders in it."""
        size = -1 if size_bytes is None else size_bytes
        body = {"id": await self._find_id(folder), "input": {"size_bytes": size}}
        await self._channel.ask(Call(method="POST", path="/folders/_/quota", json=body))

    async def usage(self, folder: str) -> FolderUsage:
        """How much is in it; for superadmins, others find it in `info`."""
        answer = await self._look(folder, "usage")
        return FolderUsage(answer["file_count"], answer["used_bytes"])

    async def _look(self, folder: str, word: str) -> dict[str, int]:
        query = {"id": await self._find_id(folder)}
        path = path_of("folders", "_", word)
        call = Call(method="GET", path=path, query=query, repeatable=True)
        return await self._channel.ask_for(dict[str, int], call)

    async def _by_id(self, path: str, folder: str) -> Call:
        return Call(method="POST", path=path, json={"id": await self._find_id(folder)})


def _post(folder: str, word: str, body: dict[str, Any]) -> Call:
    return Call(method="POST", path=path_of("folders", folder, word), json=body)
