"""What every request of a client has: a token, and the volume and folder that it opens."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from backendai.common.params import read_query
from backendai.common.paths import RelPath, parse_relpath
from backendai.common.storage_faults import StorageInvalidParams

from ..layout import FolderId, parse_folder_id
from ..tokens import Claims, Purpose, TokenBox
from ..volumes.load import Volumes
from ..volumes.volume import Volume

_YES: Final = frozenset({"true", "1", "yes", "on", "y", "t"})
_NO: Final = frozenset({"false", "0", "no", "off", "n", "f", ""})


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that may. `path` is below the folder, `dst_dir` counted in."""

    claims: Claims
    volume: Volume
    folder: FolderId
    dst_dir: str | None
    path: RelPath
    query: dict[str, str]

    def flag(self, name: str) -> bool:
        """Raises StorageInvalidParams."""
        given = self.query.get(name, "").lower()
        if given in _YES:
            return True
        if given not in _NO:
            raise StorageInvalidParams("", {name: "must be true or false"})
        return False


class Door:
    """Reads the tokens of requests."""

    def __init__(self, tokens: TokenBox, volumes: Volumes) -> None:
        self._tokens = tokens
        self._volumes = volumes

    def let_in(self, request: web.Request, *purposes: Purpose) -> Ask:
        """Raises TokenRefused, TokenExpired, TokenForOther, BadRequest, VolumeNotFound.

        `dst_dir` is in the token; or, for an upload of clients that know it no other way, in the
        query. Whatever else a token is for, it opens the path in it and no other.
        """
        query = read_query(request)
        claims = self._tokens.read(query.get("token", ""), *purposes)
        dst_dir = claims.dst_dir
        if dst_dir is None and claims.op is Purpose.UPLOAD:
            dst_dir = query.get("dst_dir")
        above = parse_relpath(dst_dir or "")
        path = RelPath((*above.names, *parse_relpath(claims.relpath).names))
        return Ask(
            claims=claims,
            volume=self._volumes.get(claims.volume),
            folder=parse_folder_id(claims.vfid),
            dst_dir=None if dst_dir is None else str(above) if above.names else "",
            path=path,
            query=query,
        )
