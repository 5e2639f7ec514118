"""What requests for circuits say: their queries, checked, and the session that a token is for."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import trafaret as t
from aiohttp import web

from backendai.common.faults import BadRequest, Forbidden, InvalidParams

from ..addresses import is_label, local_path
from ..circuits.book import Wish
from ..circuits.model import Network, parse_networks
from ..tokens import ConfClaims

_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_NETWORKS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Choices:
    """How a circuit shall be, as the one who opens it says."""

    is_public: bool
    allowed: tuple[Network, ...]
    subdomain: str | None
    redirect: str

    def wish(self, claims: ConfClaims) -> Wish:
        return Wish(
            session_id=claims.id,
            kernel_id=claims.kernel_id,
            generation=claims.generation,
            agent_id=claims.agent_id,
            app=claims.app,
            port=claims.port,
            protocol=claims.protocol,
            owner=claims.user_uuid,
            access_key=claims.access_key,
            is_public=self.is_public,
            allowed=self.allowed,
            subdomain=self.subdomain,
        )


def _networks(text: str) -> tuple[Network, ...]:
    texts = [part for part in text.split(",") if part.strip()]
    try:
        if len(texts) > _NETWORKS_MAX:
            raise ValueError
        return parse_networks(texts)
    except ValueError:
        raise t.DataError(
            f"must be at most {_NETWORKS_MAX} addresses or networks with commas between"
        ) from None


def _subdomain(text: str) -> str | None:
    if text and not is_label(text):
        raise t.DataError("must be letters a to z, digits and hyphens, at most 63")
    return text or None


def _path(text: str) -> str:
    try:
        return local_path(text)
    except ValueError as error:
        raise t.DataError(str(error)) from None


def read_choices(query: Mapping[str, str]) -> Choices:
    """Raises InvalidParams."""
    faults: dict[str, str] = {}

    def read(name: str, check: Any, default: str = "") -> Any:
        try:
            return check(query.get(name, default))
        except t.DataError as error:
            faults[name] = str(error.error)
            return None

    allowed = read("allowed_client_ips", _networks)
    subdomain = read("subdomain", _subdomain)
    redirect = read("redirect", _path, "/")
    if faults:
        raise InvalidParams("", faults)
    is_public = query.get("open_to_public", "").lower() in _TRUE
    return Choices(is_public, allowed, subdomain, redirect)


def session_of(request: web.Request) -> uuid.UUID:
    """Raises BadRequest."""
    try:
        return uuid.UUID(request.match_info["session"])
    except ValueError:
        raise BadRequest("The session has to be given by its id.") from None


def require_same(claims: ConfClaims, session_id: uuid.UUID, app: str | None) -> None:
    """Raises Forbidden when the token is for something else."""
    if claims.id != session_id:
        raise Forbidden("The token is for another session.")
    if app is not None and app != claims.app:
        raise Forbidden("The token is for another app.")
