"""What a browser or a program gets instead of an app: what happened, and what to do about it. PURE.

A page is whole in itself: no file of it lies anywhere else.
"""

import html
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec

from backendai.common.faults import PROBLEM_CONTENT_TYPE, PROBLEM_TYPE_PREFIX

RETRY_SECONDS: Final = 3
# These may pass by themselves.
_PASSING: Final = frozenset({502, 503, 504})

_ADVICE: Final = {
    400: "Go back and try again. If you wrote the request yourself, check it.",
    401: "Open the app from the list of your sessions: that gives this browser a permit.",
    403: "Open the address itself instead of a link to it from somewhere else.",
    404: "Open the app from the list of your sessions again.",
    408: "Try again; the connection may be slow.",
    410: "The session or its app has ended. Start it again, and open the app from there.",
    413: "Send less at once, or put large files into a folder.",
    502: "The app may still be starting, or have ended. This page tries again by itself.",
    503: "This page tries again by itself in a moment.",
    504: "The app takes very long. Look into its logs, or try again.",
}

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{refresh}
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center;
  font: 16px/1.5 system-ui, sans-serif; background: Canvas; color: CanvasText; }}
main {{ max-width: 32rem; padding: 2rem; }}
h1 {{ font-size: 1.4rem; margin: 0 0 .5rem; }}
p {{ margin: .5rem 0; }}
small {{ opacity: .7; }}
code {{ font-size: .9em; }}
</style></head>
<body><main><h1>{title}</h1><p>{why}</p><p>{advice}</p>
<small>{status} · request <code>{request_id}</code></small></main></body></html>
"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """`why` is one sentence for people."""

    status: int
    why: str
    request_id: str

    @property
    def phrase(self) -> str:
        return HTTPStatus(self.status).phrase


def render_refusal(refusal: Refusal, *, as_json: bool, has_body: bool = True) -> bytes:
    """A whole answer, behind which the connection ends."""
    body = _problem(refusal) if as_json else _page(refusal)
    content_type = PROBLEM_CONTENT_TYPE if as_json else "text/html; charset=utf-8"
    lines = [
        f"HTTP/1.1 {refusal.status} {refusal.phrase}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Referrer-Policy: no-referrer",
        "X-Content-Type-Options: nosniff",
        "X-Frame-Options: SAMEORIGIN",
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'",
        f"X-Request-Id: {refusal.request_id}",
        "Connection: close",
    ]
    if refusal.status in _PASSING:
        lines.append(f"Retry-After: {RETRY_SECONDS}")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
    return head + body if has_body else head


def render_permit(cookie: bytes | None, target: str | None) -> bytes:
    """The browser has its permit: to the app itself, unless there is no target.

    The connection ends behind it.
    """
    where = [b"HTTP/1.1 204 No Content"]
    if target is not None:
        location = b"Location: " + target.encode("ascii")
        where = [b"HTTP/1.1 303 See Other", location, b"Content-Length: 0"]
    given = [b"Set-Cookie: " + cookie] if cookie is not None else []
    ending = [b"Cache-Control: no-store", b"Referrer-Policy: no-referrer", b"Connection: close"]
    return b"\r\n".join([*where, *given, *ending]) + b"\r\n\r\n"


def _page(refusal: Refusal) -> bytes:
    refresh = f'<meta http-equiv="refresh" content="{RETRY_SECONDS}">'
    return _PAGE.format(
        title=html.escape(refusal.phrase),
        refresh=refresh if refusal.status in _PASSING else "",
        why=html.escape(refusal.why),
        advice=_ADVICE.get(refusal.status, _ADVICE[400]),
        status=refusal.status,
        request_id=html.escape(refusal.request_id),
    ).encode("utf-8")


def _problem(refusal: Refusal) -> bytes:
    slug = refusal.phrase.lower().replace(" ", "-")
    return msgspec.json.encode(
        {
            "type": PROBLEM_TYPE_PREFIX + slug,
            "title": refusal.phrase,
            "msg": refusal.why,
            "data": {"requestId": refusal.request_id},
        }
    )
