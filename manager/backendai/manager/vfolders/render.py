"""Folders and their files as REST shows them. PURE."""

import json
import stat
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from .access import Seen
from .files import Made
from .hosts import HostInfo, Hosts
from .model import Folder
from .proxies import FileEntry
from .shares import Invitation, Share
from .usages import CountedUsage


def created(folder: Folder) -> dict[str, Any]:
    """What creating and cloning answer."""
    return {
        "id": folder.id.hex,
        "name": folder.name,
        "quota_scope_id": folder.quota_scope_id,
        "host": folder.host,
        "usage_mode": folder.usage_mode.value,
        "permission": folder.permission.value,
        "max_size": None,
        "creator": folder.creator,
        "ownership_type": folder.ownership.value,
        "user": _text(folder.user_id),
        "group": _text(folder.project_id),
        "cloneable": folder.cloneable,
        "status": folder.status.value,
        **({"unmanaged_path": folder.unmanaged_path} if folder.is_unmanaged else {}),
    }


def item(seen: Seen) -> dict[str, Any]:
    """One of a list."""
    folder = seen.folder
    return {
        **_common(seen),
        "created_at": folder.created_at.isoformat(),
        "user": _text(folder.user_id),
        "group": _text(folder.project_id),
        "creator": folder.creator,
        "user_email": folder.user_email,
        "group_name": folder.project,
        "ownership_type": folder.ownership.value,
        "type": folder.ownership.value,
        "max_files": 0,
        "max_size": None,
        "cur_size": 0,
    }


def info(seen: Seen, counted: CountedUsage | None) -> dict[str, Any]:
    """All of one; how much is in it, and when it was counted, is null where nobody tells."""
    folder = seen.folder
    count = None if counted is None else counted.usage.file_count
    used = None if counted is None else counted.usage.used_bytes
    return {
        **_common(seen),
        "numFiles": count,
        "num_files": count,
        "used_bytes": used,
        "cur_size": used,
        "usage_at": None if counted is None else counted.at.isoformat(),
        "counts_for_owner": folder.counts_for_owner,
        "max_size": None,
        "created": folder.created_at.isoformat(),
        "created_at": folder.created_at.isoformat(),
        "last_used": None if folder.last_used_at is None else folder.last_used_at.isoformat(),
        # Clients print these as they come.
        "user": str(folder.user_id),
        "group": str(folder.project_id),
        "type": folder.ownership.value,
    }


def files(entries: Sequence[FileEntry]) -> dict[str, Any]:
    """`items` for newer clients, `files` as JSON text for all."""
    return {
        "items": [
            {
                "name": entry.name,
                "type": entry.type,
                "size": entry.stat.size,
                "mode": f"{stat.S_IMODE(entry.stat.mode):o}",
                "created": entry.stat.created,
                "modified": entry.stat.modified,
            }
            for entry in entries
        ],
        "files": json.dumps([_file(entry) for entry in entries]),
    }


def made(results: Sequence[Made]) -> dict[str, Any]:
    """What became of each directory."""
    return {
        "results": {
            "success": [{"item": one.path, "msg": None} for one in results if one.fault is None],
            "failed": [
                {"item": one.path, "msg": one.fault.detail or one.fault.title}
                for one in results
                if one.fault is not None
            ],
        }
    }


def hosts(found: Hosts) -> dict[str, Any]:
    return {
        "default": found.default,
        "allowed": found.allowed,
        "volume_info": {host: _host(each) for host, each in found.infos.items()},
    }


def invitation(sent: Invitation) -> dict[str, Any]:
    return {
        "id": str(sent.id),
        "inviter": sent.inviter,
        "invitee": sent.invitee,
        "perm": sent.permission.value,
        "state": sent.state.value,
        "created_at": sent.created_at.isoformat(),
        "modified_at": None if sent.modified_at is None else sent.modified_at.isoformat(),
        "vfolder_id": sent.folder_id.hex,
        "vfolder_name": sent.folder,
    }


def share(given: Share) -> dict[str, Any]:
    return {
        "vfolder_id": given.folder_id.hex,
        "vfolder_name": given.folder,
        "status": given.status.value,
        "owner": given.owner,
        "type": given.ownership.value,
        "shared_to": {"uuid": str(given.user_id), "email": given.email},
        "perm": given.permission.value,
    }


def _host(info: HostInfo) -> dict[str, Any]:
    percent = None if info.used_percent is None else round(info.used_percent, 1)
    return {
        "backend": info.volume.backend,
        "capabilities": info.volume.capabilities,
        "usage": {"percentage": percent},
        "sftp_scaling_groups": [],
    }


def _common(seen: Seen) -> dict[str, Any]:
    folder = seen.folder
    return {
        "name": folder.name,
        "id": folder.id.hex,
        "quota_scope_id": folder.quota_scope_id,
        "host": folder.host,
        "status": folder.status.value,
        "usage_mode": folder.usage_mode.value,
        "is_owner": seen.is_owner,
        # Who merely administers it sees what it is set to.
        "permission": (seen.permission or folder.permission).value,
        "cloneable": folder.cloneable,
        "unmanaged_path": folder.unmanaged_path,
    }


def _file(entry: FileEntry) -> dict[str, Any]:
    return {
        "filename": entry.name,
        "size": entry.stat.size,
        "mode": stat.filemode(entry.stat.mode),
        "ctime": _seconds(entry.stat.created),
        "atime": 0,
        "mtime": _seconds(entry.stat.modified),
    }


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _text(value: object) -> str | None:
    return None if value is None else str(value)
