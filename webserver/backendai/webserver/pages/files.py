"""Static files of one web UI. Paths that name no file are pages of it, and get its index."""

import secrets
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from backendai.common.faults import MethodNotAllowed, UrlNotFound

INDEX: Final = "index.html"
NONCE: Final = "{{nonce}}"
# Of which another version has another name.
_ASSETS: Final = "/assets/"
_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_NEVER_PAGES: Final = ("/func", "/server", _ASSETS, "/health")
_OWN_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; "
    "style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "worker-src 'self' blob:; connect-src 'self'{sources}; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
# Other UIs run what they find in their own files; they are kept out of frames all the same.
_OTHER_POLICY: Final = "object-src 'none'; base-uri 'self'; frame-ancestors 'none'"


class Pages:
    """Serves the files below `root`, and nothing outside of it."""

    def __init__(self, root: Path, connect_sources: tuple[str, ...], *, is_own: bool) -> None:
        self._root = root.resolve()
        self._sources = "".join(f" {source}" for source in connect_sources)
        self._is_own = is_own
        self._index: tuple[float, str] = (0.0, "")

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/{path:.*}", self.show)]

    async def show(self, request: web.Request) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed
        path = request.path
        file = self._find(path)
        if file is not None and file.name != INDEX:
            headers = {"Cache-Control": _FOREVER if path.startswith(_ASSETS) else _ASK_AGAIN}
            return web.FileResponse(file, headers=headers)
        # A name with an ending is a file's: a page in its place would be taken for it.
        if path.startswith(_NEVER_PAGES) or (file is None and Path(path).suffix):
            raise UrlNotFound("", {"path": path[:200]})
        return self._show_index()

    def _find(self, path: str) -> Path | None:
        """The file of a path, links within the folder followed; None where there is none."""
        plain = unquote(path)
        if "\0" in plain or "\\" in plain or any(part.startswith(".") for part in plain.split("/")):
            return None
        try:
            file = (self._root / plain.lstrip("/")).resolve()
            return file if file.is_relative_to(self._root) and file.is_file() else None
        except OSError:
            return None

    def _show_index(self) -> web.Response:
        try:
            text = self._read_index()
        except OSError:
            return web.Response(
                status=503,
                text="The web UI is not built. The API is served: see GET /func/.\n",
            )
        nonce = secrets.token_urlsafe(16)
        policy = _OTHER_POLICY
        if self._is_own:
            policy = _OWN_POLICY.format(nonce=nonce, sources=self._sources)
        return web.Response(
            text=text.replace(NONCE, nonce),
            content_type="text/html",
            headers={"Content-Security-Policy": policy, "Cache-Control": _ASK_AGAIN},
        )

    def _read_index(self) -> str:
        """Read again when it has changed."""
        file = self._root / INDEX
        at = file.stat().st_mtime
        if at != self._index[0]:
            self._index = (at, file.read_text("utf-8"))
        return self._index[1]
