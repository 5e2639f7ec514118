"""What is done with folders, in one word each, and who may at all."""

from typing import Final

from backendai.manager.gate.actor import Access, Action

READ: Final = Action("vfolder.read", in_projects=True)
CREATE: Final = Action("vfolder.create", writes=True, begins=True, in_projects=True)
CLONE: Final = Action("vfolder.clone", writes=True, begins=True)
MODIFY: Final = Action("vfolder.modify", writes=True, in_projects=True)
DELETE: Final = Action("vfolder.delete", writes=True, in_projects=True)
RESTORE: Final = Action("vfolder.restore", writes=True, in_projects=True)
PURGE: Final = Action("vfolder.purge", writes=True, in_projects=True)
TRANSFER: Final = Action("vfolder.transfer", Access.SUPERADMIN, writes=True)
INVITE: Final = Action("vfolder.invite", writes=True)
ACCEPT: Final = Action("vfolder.accept", writes=True)
DECLINE: Final = Action("vfolder.decline", writes=True)
LEAVE: Final = Action("vfolder.leave", writes=True)
SHARE: Final = Action("vfolder.share", Access.PROJECT_ADMIN, writes=True, in_projects=True)
UNSHARE: Final = Action("vfolder.unshare", Access.PROJECT_ADMIN, writes=True, in_projects=True)
SET_SHARE: Final = Action("vfolder.set_share", writes=True, in_projects=True)
DOWNLOAD: Final = Action("vfolder.download")
UPLOAD: Final = Action("vfolder.upload", writes=True, in_projects=True)
MODIFY_FILES: Final = Action("vfolder.modify_files", writes=True, in_projects=True)
USAGE: Final = Action("vfolder.usage", Access.SUPERADMIN)
QUOTA: Final = Action("vfolder.quota")
SET_QUOTA: Final = Action("vfolder.set_quota", Access.ADMIN, writes=True)
HOSTS: Final = Action("storage.hosts")
ALL_HOSTS: Final = Action("storage.all_hosts", Access.SUPERADMIN)
READ_VOLUMES: Final = Action("storage.read", Access.SUPERADMIN)
READ_SHARES: Final = Action("vfolder.read_shares", Access.SUPERADMIN)
METRIC: Final = Action("storage.metric", Access.SUPERADMIN)
MOUNTS: Final = Action("storage.mounts", Access.SUPERADMIN)
SET_MOUNTS: Final = Action("storage.set_mounts", Access.SUPERADMIN, writes=True)
