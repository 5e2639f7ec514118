"""What can go wrong at a storage proxy: its own leaves of the tree of faults.

Clients know them by `https://api.backend.ai/probs/storage/…`; managers raise the same classes.
"""

from .faults import Conflict, Fault, Forbidden, InvalidParams, Kind, NotFound, Unavailable


class StorageInvalidParams(InvalidParams):
    """Facts are field -> message, all of them at once."""

    code, slug = "storage.invalid_params", "storage/invalid-api-params"


class StorageForbidden(Forbidden):
    """The manager's secret, or a token, is missing or wrong."""

    code, slug = "storage.forbidden", "storage/generic-forbidden"


class VolumeNotFound(NotFound):
    code, slug, object_name = "volume.not_found", "storage/volume-not-found", "volume"


class VolumeUnavailable(Unavailable):
    """It is not mounted, or does not answer in time. Facts: `volume`."""

    code, slug = "volume.unavailable", "storage/volume-unavailable"
    title = "The volume does not answer."


class VolumeFailed(Fault):
    """The file system failed. Facts: `errno`, `paths`."""

    kind, code = Kind.INTERNAL, "volume.failed"
    slug, title = "storage/volume-failed", "The file system failed."


class FolderNotFound(NotFound):
    code, slug, object_name = "folder.not_found", "storage/folder-not-found", "folder"


class FolderExists(Conflict):
    code, slug = "folder.exists", "storage/folder-exists"
    title = "The folder exists already."


class FolderBusy(Conflict):
    """It is being copied to, and can be deleted when that is over."""

    code, slug = "folder.busy", "storage/folder-busy"
    title = "The folder is being copied to."


class QuotaScopeNotFound(NotFound):
    code, slug = "storage.quota_scope_not_found", "storage/quota-scope-not-found"
    object_name = "quota scope"


class QuotaScopeExists(Conflict):
    code, slug = "quota_scope.exists", "storage/quota-scope-exists"
    title = "The quota scope exists already."


class PathFault(Fault):
    """The file system refuses what was asked. Facts: `errno`, `paths`."""

    kind, code = Kind.INVALID, "path.refused"
    slug, title = "storage/path-refused", "The file system refuses this."


class PathLeadsOut(PathFault):
    """By a link, or by a directory that somebody moved meanwhile."""

    code, slug, title = (
        "path.leads_out",
        "storage/invalid-api-params",
        "The path leads out of the folder.",
    )


class PathNotFound(PathFault):
    kind, code = Kind.NOT_FOUND, "path.not_found"
    slug, title = "storage/file-not-found", "No such file."


class PathExists(PathFault):
    kind, code, status = Kind.CONFLICT, "path.exists", 400
    slug, title = "storage/path-exists", "There is something of this name already."


class PathForbidden(PathFault):
    """Whoever asks may well be allowed to: what forbids it is how the file was left."""

    code = "path.forbidden"
    slug, title = "storage/path-forbidden", "The permissions of the file forbid this."


class StorageFull(Fault):
    """The volume or the quota scope has no room. Facts: `usedBytes`, `limitBytes` when known."""

    kind, code, status = Kind.QUOTA, "storage.full", 507
    slug, title = "storage/insufficient-storage", "There is no room left."
