"""How folders come to others: invitations, shares, and another owner."""

import uuid
from collections.abc import Sequence
from typing import Any, Literal

from backendai.client.channel import Call, path_of
from backendai.client.vfolders.rows import Invitation, Share
from backendai.client.vfolders.syncs import Syncs
from backendai.common.faults import ShareNotFound

Permission = Literal["ro", "rw", "wd"]


class Sharing(Syncs):
    """Users invite others to their own folders; who manages a project gives single members of it
    something else than its folders give all. Emails name people."""

    async def invite(
        self, folder: str, emails: Sequence[str], *, permission: Permission = "rw"
    ) -> Sequence[str]:
        """To a folder of one's own. Returns who was invited: who is already, or has a share, is not
        once more. Raises UserNotFound, Forbidden, Conflict for a project's."""
        body = {"emails": list(emails), "permission": permission}
        answer = await self._channel.ask_for(dict[str, list[str]], _post(folder, "invite", body))
        return answer["invited_ids"]

    async def invitations(self) -> Sequence[Invitation]:
        """Those that wait for one's own answer, the oldest first."""
        return await self._list_invitations("list")

    async def sent_invitations(self) -> Sequence[Invitation]:
        """Those of one's own that others did not answer yet."""
        return await self._list_invitations("list-sent")

    async def update_invitation(self, invitation_id: str, permission: Permission) -> None:
        """Let one that was sent give another permission. Raises InvitationNotFound, Conflict."""
        path = path_of("folders", "invitations", "update", invitation_id)
        await self._channel.ask(Call(method="POST", path=path, json={"perm": permission}))

    async def accept(self, invitation_id: str) -> None:
        """Have the folder. Raises InvitationNotFound, and Conflict for one that was answered."""
        await self._answer("POST", "accept", invitation_id)

    async def reject(self, invitation_id: str) -> None:
        """Or cancel one that was sent. Raises as `accept`."""
        await self._answer("DELETE", "delete", invitation_id)

    async def leave(self, folder: str) -> None:
        """Give up what was shared. Raises ShareNotFound, and Conflict for one's own folder."""
        await self._channel.ask(_post(folder, "leave", {}))

    async def share(
        self, folder: str, emails: Sequence[str], *, permission: Permission = "rw"
    ) -> Sequence[str]:
        """Give members of the project that owns `folder` this permission instead of what all have.
        Raises UserNotFound, Forbidden, Conflict for a user's folder."""
        body = {"emails": list(emails), "permission": permission}
        answer = await self._channel.ask_for(dict[str, list[str]], _post(folder, "share", body))
        return answer["shared_emails"]

    async def unshare(self, folder: str, emails: Sequence[str]) -> Sequence[str]:
        """Let members of its project have what all have. Returns who had something else."""
        path = path_of("folders", folder, "unshare")
        call = Call(method="DELETE", path=path, json={"emails": list(emails)})
        return (await self._channel.ask_for(dict[str, list[str]], call))["unshared_emails"]

    async def shares(self, folder: str | None = None) -> Sequence[Share]:
        """Of all folders that one owns or administers, or of one of them."""
        query = None if folder is None else await self._find_id(folder)
        call = Call(
            method="GET", path="/folders/_/shared", query={"vfolder_id": query}, repeatable=True
        )
        answer = await self._channel.ask_for(dict[str, tuple[Share, ...]], call)
        return answer["shared"]

    async def set_share(self, folder: str, email: str, permission: Permission | None) -> None:
        """Change what somebody's share gives; None takes it away. Raises ShareNotFound."""
        folder_id = await self._find_id(folder)
        held = [each for each in await self.shares(folder_id) if each.shared_to.email == email]
        if not held:
            raise ShareNotFound(f"{email} has no share of {folder}.")
        body = {"vfolder": folder_id, "user": held[0].shared_to.uuid, "perm": permission}
        await self._channel.ask(Call(method="POST", path="/folders/_/shared", json=body))

    async def transfer(self, folder: str, email: str) -> None:
        """Hand a user's folder on to another user, for superadmins. Its files stay in the quota
        scope where they are. Raises UserNotFound, VFolderExists, Conflict for a project's."""
        body = {"vfolder": await self._find_id(folder), "user_email": email}
        path = "/folders/_/change-ownership"
        await self._channel.ask(Call(method="POST", path=path, json=body))

    async def _list_invitations(self, word: str) -> Sequence[Invitation]:
        path = path_of("folders", "invitations", word)
        call = Call(method="GET", path=path, repeatable=True)
        return (await self._channel.ask_for(dict[str, tuple[Invitation, ...]], call))["invitations"]

    async def _answer(self, method: str, word: str, invitation_id: str) -> None:
        path = path_of("folders", "invitations", word)
        await self._channel.ask(Call(method=method, path=path, json={"inv_id": invitation_id}))

    async def _find_id(self, folder: str) -> str:
        """Also that of one in the bin. Raises VFolderNotFound, BadUsage."""
        try:
            return uuid.UUID(folder).hex
        except ValueError:
            query = {"name": folder}
            call = Call(method="GET", path="/folders/_/id", query=query, repeatable=True)
            return (await self._channel.ask_for(dict[str, str], call))["id"]


def _post(folder: str, word: str, body: dict[str, Any]) -> Call:
    return Call(method="POST", path=path_of("folders", folder, word), json=body)
