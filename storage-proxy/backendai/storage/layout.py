"""Where folders lie on a volume. PURE.

<volume>/<quota scope>/<first two digits>/<32 hex digits>
"""

import enum
import re
import uuid
from dataclasses import dataclass
from typing import Final

from backendai.common.paths import RelPath
from backendai.common.storage_faults import StorageInvalidParams

TRASH: Final = RelPath((".trash",))
CLONING: Final = RelPath((".cloning",))
UPLOADS: Final = RelPath((".uploads",))
_HEX: Final = re.compile(r"[0-9a-f]{32}")


class ScopeKind(enum.StrEnum):
    USER = "user"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class ScopeId:
    """Whose folders they are, and whose quota they count for: `user:<uuid>`, `project:<uuid>`."""

    kind: ScopeKind
    owner: uuid.UUID

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.owner}"

    @property
    def path(self) -> RelPath:
        return RelPath((str(self),))


@dataclass(frozen=True, slots=True)
class FolderId:
    """A folder as managers name it: `<quota scope>/<32 hex digits>`."""

    scope: ScopeId
    hex: str

    def __str__(self) -> str:
        return f"{self.scope}/{self.hex}"

    @property
    def path(self) -> RelPath:
        """Below the top of the volume."""
        return RelPath((str(self.scope), self.hex[:2], self.hex))


def parse_scope_id(text: str) -> ScopeId:
    """Raises StorageInvalidParams."""
    kind, _, owner = text.partition(":")
    try:
        found = ScopeId(ScopeKind(kind), uuid.UUID(owner))
    except ValueError:
        found = None
    # Other spellings of the same id would be other directories.
    if found is None or str(found) != text:
        raise StorageInvalidParams(
            "", {"qsid": f"{text[:100]!r} must be user:<uuid> or project:<uuid>, in lower case"}
        )
    return found


def parse_folder_id(text: str) -> FolderId:
    """Raises StorageInvalidParams."""
    scope, slash, digits = text.partition("/")
    if not slash and _HEX.fullmatch(text.replace("-", "").lower()):
        raise _refusal(text, "has no quota scope: folders of before quota scopes are not served")
    if not _HEX.fullmatch(digits):
        raise _refusal(text, "must be user:<uuid>/<32 hex digits> or project:<uuid>/…")
    return FolderId(parse_scope_id(scope), digits)


def _refusal(text: str, why: str) -> StorageInvalidParams:
    return StorageInvalidParams("", {"vfid": f"{text[:100]!r} {why}"})
