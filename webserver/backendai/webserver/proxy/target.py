"""Which path of the API a path below /func is. Pure."""

from typing import Final
from urllib.parse import unquote

from backendai.common.faults import UrlNotFound

PREFIX: Final = "/func"
# Asked for by those who are not logged in.
_OPEN: Final = ("/auth/signup", "/cloud/", "/custom-auth/", "/openid/", "/saml/")
# What may take as long as what it waits for: a session that starts, code that runs, news.
_PATIENT: Final = ("/events/", "/session", "/stream/")
_ODD: Final = frozenset({".", ".."})


def read_target(raw: str) -> str:
    """The target with its query as it was sent, without the prefix and without a `?` that nothing
    follows, which is not sent on either and so must not be signed. Raises UrlNotFound for what
    another server might read as another path."""
    target = raw.removeprefix(PREFIX)
    path, _, query = target.partition("?")
    if target == raw or not _is_plain(path or "/"):
        raise UrlNotFound("", {"path": raw.partition("?")[0][:200]})
    return (path or "/") + (f"?{query}" if query else "")


def is_open(target: str) -> bool:
    """Whether it is passed on unsigned."""
    path = target.partition("?")[0]
    return any(path == each or (each.endswith("/") and path.startswith(each)) for each in _OPEN)


def is_patient(target: str) -> bool:
    """Whether nobody can say how long its answer may take, or may be silent."""
    return target.startswith(_PATIENT)


def _is_plain(path: str) -> bool:
    if not path.startswith("/") or "//" in path or "#" in path or not path.isascii():
        return False
    plain = unquote(path)
    parts = plain.replace("\\", "/").split("/")
    return plain.isprintable() and "\\" not in path and not _ODD.intersection(parts)
