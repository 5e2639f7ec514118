"""What can go wrong with tokens, uploads, downloads and archives of a storage proxy."""

from typing import Any

from .faults import AuthFailed, BodyTooLarge, Conflict, Fault, Forbidden, Kind, NotFound


class TokenRefused(AuthFailed):
    """It is none of ours, or was changed."""

    code, slug = "token.refused", "storage/invalid-token"
    title = "The token is not valid."


class TokenExpired(AuthFailed):
    code, slug = "token.expired", "storage/token-expired"
    title = "The token has expired."


class TokenForOther(Forbidden):
    """It is valid, but for another purpose."""

    code, slug = "token.for_other", "storage/token-for-other"
    title = "The token is for something else."


class UploadNotFound(NotFound):
    code, slug = "upload.not_found", "storage/no-such-upload-session"
    object_name = "upload session"


class UploadLost(Fault):
    """The file system failed while bytes were made durable: the upload has to begin anew."""

    kind, code = Kind.INTERNAL, "upload.lost"
    slug, title = "storage/upload-lost", "The upload was lost and has to begin anew."


class UploadVersionRefused(Fault):
    """The protocol's version is missing, or not 1.0.0."""

    kind, code, status = Kind.INVALID, "upload.version", 412
    slug, title = "storage/upload-version", "The version of the upload protocol is not supported."


class UploadTypeRefused(Fault):
    kind, code, status = Kind.INVALID, "upload.content_type", 415
    slug, title = "storage/upload-content-type", "The content type is not that of an upload."


class UploadFault(Fault):
    """An upload that can go on. Facts: `offset`, from where; it is also a header of the answer."""

    @classmethod
    def at(cls, offset: int, detail: str = "", **facts: Any) -> "UploadFault":
        return cls(detail, {"offset": offset, **facts})


class UploadOffsetMismatch(UploadFault, Conflict):
    code, slug = "upload.offset_mismatch", "storage/upload-offset-mismatch"
    title = "The upload goes on from another offset."


class UploadInterrupted(UploadFault, Conflict):
    """Another request for the same upload came while this one was sending."""

    code, slug = "upload.interrupted", "storage/upload-interrupted"
    title = "Another request has taken over the upload."


class UploadBusy(UploadFault):
    """Another process holds the upload."""

    kind, code, status = Kind.UNAVAILABLE, "upload.busy", 423
    slug, title = "storage/upload-busy", "The upload is held by another request."


class UploadIdle(UploadFault):
    kind, code, status = Kind.INVALID, "upload.idle", 408
    slug, title = "storage/upload-idle", "The body did not come in time."


class UploadExceeded(UploadFault, BodyTooLarge):
    """More bytes than were announced."""

    code, slug = "upload.exceeded", "storage/upload-exceeded"
    title = "The upload is longer than was announced."


class UploadTooLarge(BodyTooLarge):
    code, slug = "upload.too_large", "storage/upload-too-large"
    title = "The upload is larger than allowed."


class UploadChecksumMismatch(UploadFault):
    kind, code, status = Kind.INVALID, "upload.checksum_mismatch", 460
    slug, title = "storage/upload-checksum-mismatch", "Checksum Mismatch"


class UploadFull(UploadFault):
    """There is no room now; the upload can go on when there is."""

    kind, code, status = Kind.QUOTA, "upload.full", 507
    slug, title = "storage/insufficient-storage", "There is no room left."


class RangeRefused(Fault):
    """Facts: `size`, the bytes that there are."""

    kind, code, status = Kind.INVALID, "download.range", 416
    slug, title = "storage/range-not-satisfiable", "The range is not in the file."


class ArchiveRefused(Fault):
    """What was to be unpacked is no archive, or no sound one. Facts: the report so far."""

    kind, code, status = Kind.INVALID, "archive.refused", 400
    slug, title = "storage/archive-refused", "The archive cannot be unpacked."


class ArchiveTooLarge(BodyTooLarge):
    """What the archive holds is more than allowed. Facts: the report so far."""

    code, slug = "archive.too_large", "storage/archive-too-large"
    title = "The archive holds more than is allowed."
