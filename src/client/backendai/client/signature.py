"""Puts a user's signature on a request: a new date, and a nonce where the body is covered; or the
cookie of a login, for a webserver to sign."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from backendai.client.config import SESSION, Config
from backendai.client.transport import Request
from backendai.common.signing import (
    DEFAULT_CONTENT_TYPE,
    SignedRequest,
    SignMethod,
    body_sha256,
    media_type,
    signed_headers,
)
from backendai.common.web_logins import COOKIE

API_VERSION: Final = "v7.20230615"
USER_AGENT: Final = "backendai-client"


def sign(request: Request, content_type: str, config: Config, now: datetime, nonce: str) -> Request:
    """`request` with all its headers. An empty content type sends none, as upgrades do."""
    method = SignMethod.BODY if config.signs_body else SignMethod.HEADERS
    host = request.address.partition("://")[2]
    headers = {"Host": host, "User-Agent": USER_AGENT, **request.headers}
    if content_type:
        headers["Content-Type"] = content_type
    signed = SignedRequest(
        method=request.method,
        target=request.target,
        date_text=now.isoformat(),
        host=host,
        content_type=_covered_type(content_type, method),
        version=API_VERSION,
        body_sha256=body_sha256(request.body),
        nonce=nonce,
    )
    if config.kind == SESSION:
        headers |= {"Date": signed.date_text, signed.version_header: signed.version}
        headers |= {"Cookie": f"{COOKIE}={config.token}"} if config.token else {}
    else:
        headers |= signed_headers(signed, config.access_key, config.secret_key, method)
    return replace(request, headers=headers)


def _covered_type(content_type: str, method: SignMethod) -> str:
    """The legacy form covers the media type alone, the other one its parameters too."""
    if method is SignMethod.BODY:
        return content_type or DEFAULT_CONTENT_TYPE
    return media_type(content_type)
