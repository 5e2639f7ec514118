"""A small image registry: Docker Registry v2, with Basic or token authentication; Harbor's lists.

An engine can pull what has been put with its files.
"""

import asyncio
import base64
import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker.distribution.manifest"
TOKEN = "a-token-for"
_UNAUTHORIZED = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}


@dataclass
class FakeRegistry:
    """What it has by repository and tag. With `password` it lets in `robot` only, who shows it at
    each request if `is_basic`, and once for a token otherwise; pages have `page_size` entries.
    `asked` keeps the paths in order. The first `busy` requests are put off; manifests wait for
    `released`, and the second half of each layer for `layers_released`, where they are given."""

    password: str = ""
    is_basic: bool = False
    page_size: int = 2
    host: str = ""
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    documents: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    busy: int = 0
    released: asyncio.Event | None = None
    layers_released: asyncio.Event | None = None

    def put(
        self,
        repository: str,
        tag: str,
        *architectures: str,
        labels: Mapping[str, str] | None = None,
        os: str = "linux",
    ) -> str:
        """An image, or a list where there are several architectures. Returns its digest."""
        images = [self._image(each, dict(labels or {}), os) for each in architectures]
        digest = images[0] if len(images) == 1 else self._index(list(architectures), images)
        self.tags.setdefault(repository, {})[tag] = digest
        return digest

    def put_files(self, repository: str, tag: str, files: bytes, labels: Mapping[str, str]) -> str:
        """An image of one layer, the tar archive `files`, for amd64. Returns its digest."""
        layer = gzip.compress(files, 1, mtime=0)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": dict(labels), "Env": ["PATH=/usr/bin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest_of(files)]},
        }
        document = {
            "schemaVersion": 2,
            "mediaType": f"{DOCKER}.v2+json",
            "config": self._part("application/vnd.docker.container.image.v1+json", config),
            "layers": [self._part("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)],
        }
        digest = self._keep(f"{DOCKER}.v2+json", document)
        self.tags.setdefault(repository, {})[tag] = digest
        return digest

    def _part(self, kind: str, content: Any) -> dict[str, Any]:
        digest = self._keep(kind, content)
        return {"mediaType": kind, "digest": digest, "size": len(self.documents[digest][1])}

    def put_document(self, repository: str, tag: str, document: Any) -> None:
        digest = self._keep("application/json", document)
        self.tags.setdefault(repository, {})[tag] = digest

    def _image(self, architecture: str, labels: dict[str, str], os: str) -> str:
        config = {"architecture": architecture, "os": os, "config": {"Labels": labels or None}}
        document = {
            "schemaVersion": 2,
            "mediaType": f"{DOCKER}.v2+json",
            "config": {"digest": self._keep("application/octet-stream", config), "size": 100},
            "layers": [{"digest": f"sha256:{'1' * 64}", "size": 1000}],
        }
        return self._keep(f"{DOCKER}.v2+json", document)

    def _index(self, architectures: list[str], images: list[str]) -> str:
        parts = [
            {"digest": digest, "size": 9, "platform": {"architecture": name, "os": "linux"}}
            for name, digest in zip(architectures, images, strict=True)
        ]
        unknown = {"architecture": "unknown", "os": "unknown"}
        attestation = {"digest": f"sha256:{'2' * 64}", "size": 9, "platform": unknown}
        document = {"schemaVersion": 2, "manifests": [*parts, attestation]}
        return self._keep(f"{OCI}.index.v1+json", document)

    def _keep(self, kind: str, document: Any) -> str:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        digest = _digest_of(body)
        self.documents[digest] = kind, body
        return digest

    async def _greet(self, request: web.Request) -> web.Response:
        self._check(request, "")
        return web.json_response({})

    async def _catalog(self, request: web.Request) -> web.Response:
        self._check(request, "registry:catalog:*")
        return self._page(request, sorted(self.tags), "repositories")

    async def _tags(self, request: web.Request) -> web.Response:
        repository = request.match_info["name"]
        self._check(request, f"repository:{repository}:pull")
        return self._page(request, sorted(self.tags[repository]) or None, "tags")

    async def _manifest(self, request: web.Request) -> web.Response:
        repository, reference = request.match_info["name"], request.match_info["reference"]
        self._check(request, f"repository:{repository}:pull")
        if self.released is not None:
            await self.released.wait()
        return self._document(self.tags[repository].get(reference, reference))

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        self._check(request, f"repository:{request.match_info['name']}:pull")
        answer = self._document(request.match_info["digest"])
        is_layer = answer.content_type.endswith("tar.gzip")
        if not is_layer or self.layers_released is None:
            return answer
        body = self.documents[request.match_info["digest"]][1]
        stream = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await stream.prepare(request)
        await stream.write(body[: len(body) // 2])
        await self.layers_released.wait()
        await stream.write(body[len(body) // 2 :])
        return stream

    async def _token(self, request: web.Request) -> web.Response:
        """It is for one scope; the next one needs another."""
        if request.headers.get("Authorization") != self._pair():
            return web.json_response(_UNAUTHORIZED, status=401)
        return web.json_response({"token": f"{TOKEN} {request.query.get('scope', '')}"})

    async def _projects(self, request: web.Request) -> web.Response:
        names = sorted({name.partition("/")[0] for name in self.tags})
        return self._page(request, [{"name": name} for name in names], None)

    async def _repositories(self, request: web.Request) -> web.Response:
        project = request.match_info["project"]
        names = sorted(name for name in self.tags if name.startswith(f"{project}/"))
        return self._page(request, [{"name": name, "id": 1} for name in names], None)

    def _page(self, request: web.Request, items: list[Any] | None, key: str | None) -> web.Response:
        start = int(request.query.get("last", "0"))
        page = items and items[start : start + self.page_size]
        headers = {}
        if items and start + self.page_size < len(items):
            target = request.rel_url.update_query(last=str(start + self.page_size))
            headers["Link"] = f'<{target}>; rel="next"'
        return web.json_response({key: page} if key else page, headers=headers)

    def _document(self, digest: str) -> web.Response:
        if digest not in self.documents:
            raise web.HTTPNotFound
        kind, body = self.documents[digest]
        headers = {"Docker-Content-Digest": digest}
        return web.Response(body=body, content_type=kind, headers=headers)

    def _check(self, request: web.Request, scope: str) -> None:
        self.asked.append(request.path)
        if self.busy:
            self.busy -= 1
            raise web.HTTPTooManyRequests(headers={"Retry-After": "0"})
        wanted = self._pair() if self.is_basic else f"Bearer {TOKEN} {scope}"
        if self.password and request.headers.get("Authorization") != wanted:
            told = f'realm="http://{self.host}/token",service="registry",scope="{scope}"'
            challenge = 'Basic realm="registry"' if self.is_basic else f"Bearer {told}"
            raise web.HTTPUnauthorized(
                headers={"WWW-Authenticate": challenge},
                text=json.dumps(_UNAUTHORIZED),
                content_type="application/json",
            )

    def _pair(self) -> str:
        return f"Basic {base64.b64encode(f'robot:{self.password}'.encode()).decode()}"


def _digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@asynccontextmanager
async def serving(registry: FakeRegistry) -> AsyncIterator[FakeRegistry]:
    """It answers over plain HTTP at `registry.host`."""
    app = web.Application()
    get = app.router.add_get
    get("/v2/", registry._greet)
    get("/v2/_catalog", registry._catalog)
    get("/v2/{name:.+}/tags/list", registry._tags)
    get("/v2/{name:.+}/manifests/{reference}", registry._manifest)
    get("/v2/{name:.+}/blobs/{digest}", registry._blob)
    get("/token", registry._token)
    get("/api/v2.0/projects", registry._projects)
    get("/api/v2.0/projects/{project}/repositories", registry._repositories)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = runner.addresses[0]
    registry.host = f"127.0.0.1:{address[1]}"
    try:
        yield registry
    finally:
        await runner.cleanup()
