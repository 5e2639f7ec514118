"""What parameters of this API may be; mistakes are told all at once, and unknown keys by name."""

from collections.abc import Callable
from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.faults import Fault
from backendai.common.params import read_params
from backendai.common.paths import parse_relpath

from ..layout import FolderId, ScopeId, parse_folder_id, parse_scope_id

BYTES_MAX: Final = 1 << 60
PATHS_MAX: Final = 10_000
_NAME_CHARS_MAX: Final = 255


def _parsed(parse: Callable[[str], Any]) -> t.Trafaret:
    def check(value: Any) -> Any:
        if not isinstance(value, str):
            raise t.DataError("must be text")
        try:
            return parse(value)
        except Fault as fault:
            words = [str(word) for word in fault.facts.values()]
            raise t.DataError(fault.detail or " ".join(words)) from None

    return t.Call(check)


def _parse_name(text: str) -> str:
    path = parse_relpath(text)
    if len(path.names) != 1 or "/" in text:
        raise Fault("must be one name, without a slash")
    return path.name


def _size(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= BYTES_MAX:
        raise t.DataError(f"must be bytes, as a whole number from 0 to {BYTES_MAX}")
    return value


FOLDER: Final = _parsed(parse_folder_id)
SCOPE: Final = _parsed(parse_scope_id)
RELPATH: Final = _parsed(parse_relpath)
NAME: Final = _parsed(_parse_name)
SIZE: Final = t.Call(_size)
VOLUME: Final = t.String(max_length=_NAME_CHARS_MAX)
_FLAG: Final = t.Bool()


def _optional(name: str, trafaret: t.Trafaret, default: Any) -> t.Key:
    return t.Key(name, optional=True, default=default, trafaret=trafaret)


_IN_FOLDER: Final = (t.Key("volume", trafaret=VOLUME), t.Key("vfid", trafaret=FOLDER))
# Nothing outside of volumes is served, so the only value of this key is none.
_UNMANAGED: Final = _optional("unmanaged_path", t.Null(), None)
_FREE: Final = t.Null() | t.Mapping(t.String(allow_blank=True), t.Any())
_LIMIT: Final = t.Dict(t.Key("limit_bytes", trafaret=SIZE | t.Null()))

A_VOLUME: Final = t.Dict(t.Key("volume", trafaret=VOLUME))
A_FOLDER: Final = t.Dict(*_IN_FOLDER)
NEW_FOLDER: Final = t.Dict(
    *_IN_FOLDER,
    _optional(
        "options", t.Null() | t.Dict(_optional("mode", t.ToInt(gte=0o700, lte=0o777), 0o755)), None
    ),
)
CLONE: Final = t.Dict(
    t.Key("src_volume", trafaret=VOLUME),
    t.Key("src_vfid", trafaret=FOLDER),
    t.Key("dst_volume", trafaret=VOLUME),
    t.Key("dst_vfid", trafaret=FOLDER),
    _optional("options", _FREE, None),
)
MOUNT: Final = t.Dict(*_IN_FOLDER, _optional("subpath", RELPATH, "."))
METADATA: Final = t.Dict(*_IN_FOLDER, _optional("payload", t.Any(), None))
VOLUME_QUOTA: Final = t.Dict(
    t.Key("volume", trafaret=VOLUME),
    t.Key("vfid", trafaret=FOLDER),
    _optional("size_bytes", SIZE, None),
)

A_SCOPE: Final = t.Dict(t.Key("volume", trafaret=VOLUME), t.Key("qsid", trafaret=SCOPE))
NEW_SCOPE: Final = A_SCOPE + t.Dict(
    _optional("options", t.Null() | _LIMIT, None), _optional("extra_args", _FREE, None)
)
SCOPE_LIMIT: Final = A_SCOPE + t.Dict(t.Key("options", trafaret=_LIMIT))

A_FILE: Final = t.Dict(*_IN_FOLDER, t.Key("relpath", trafaret=RELPATH))
LISTED: Final = t.Dict(*_IN_FOLDER, _optional("relpath", RELPATH, "."))
NEW_DIRECTORY: Final = A_FILE + t.Dict(
    _optional("parents", _FLAG, True), _optional("exist_ok", _FLAG, False)
)
RENAMED: Final = A_FILE + t.Dict(t.Key("new_name", trafaret=NAME))
TWO_PATHS: Final = t.Dict(
    *_IN_FOLDER,
    t.Key("src_relpath", trafaret=RELPATH),
    t.Key("dst_relpath", trafaret=RELPATH),
)
DELETED: Final = t.Dict(
    *_IN_FOLDER,
    t.Key("relpaths", trafaret=t.List(RELPATH, min_length=1, max_length=PATHS_MAX)),
    _optional("recursive", _FLAG, False),
)
DOWNLOAD: Final = A_FILE + t.Dict(
    _optional("archive", _FLAG, False),
    # Below `relpath`, of which only these are sent, as an archive.
    _optional("selection", t.List(RELPATH, max_length=PATHS_MAX), []),
    _UNMANAGED,
)
EXTRACTION: Final = A_FILE + t.Dict(
    _optional("into", RELPATH, "."), _optional("remove", _FLAG, False)
)
UPLOAD: Final = A_FILE + t.Dict(t.Key("size", trafaret=SIZE))


async def read_folder(
    request: web.Request, trafaret: t.Trafaret
) -> tuple[FolderId, dict[str, Any]]:
    params = await read_params(request, trafaret)
    folder: FolderId = params["vfid"]
    return folder, params


async def read_scope(request: web.Request, trafaret: t.Trafaret) -> tuple[ScopeId, dict[str, Any]]:
    params = await read_params(request, trafaret)
    scope: ScopeId = params["qsid"]
    return scope, params
