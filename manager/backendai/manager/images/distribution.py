"""Reads a registry: Docker Registry v2 (OCI distribution), and Harbor's list of repositories.

A registry says by itself how it wants to be asked (anonymously, with a token, with a password).
"""

import base64
import enum
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from backendai.common.clock import Clock
from backendai.common.faults import RegistryFault

from . import manifests as m

T = TypeVar("T")

TIMEOUT_SECONDS: Final = 30.0
ATTEMPTS_MAX: Final = 3
PAUSE_SECONDS: Final = 1.0
PAUSE_SECONDS_MAX: Final = 30.0
BODY_BYTES_MAX: Final = 8 << 20
PAGE_SIZE: Final = 100
PAGES_MAX: Final = 1000
_AGAIN: Final = frozenset({429, 502, 503, 504})


class RegistryKind(enum.StrEnum):
    """`docker` lists its catalog; `harbor2` lists projects and their repositories."""

    DOCKER = "docker"
    HARBOR2 = "harbor2"


@dataclass(frozen=True, slots=True)
class Registry:
    """`hostname` begins the names of its images; no `projects` means all of them."""

    hostname: str
    url: str
    kind: RegistryKind
    projects: tuple[str, ...] = ()
    username: str = ""
    password: str = field(default="", repr=False)
    ssl_verify: bool = True


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]
    next_page: URL | None


class _Project(msgspec.Struct, frozen=True):
    name: str


class _Grant(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""


class RegistryReader:
    """One registry, for as long as its context is open. Methods raise RegistryFault."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._url = registry.url.rstrip("/")
        self._granted: dict[str, str] = {}
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            connector=aiohttp.TCPConnector(ssl=self._registry.ssl_verify, limit_per_host=8),
            auto_decompress=True,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def list_repositories(self) -> list[str]:
        """Those of the registry's projects, in order. Names that no image can have are left out."""
        found = set()
        async for name in self._names():
            if m.is_repository(name) and m.is_wanted(name, self._registry.projects):
                found.add(name)
        return sorted(found)

    async def list_tags(self, repository: str) -> list[str]:
        target = f"{self._url}/v2/{repository}/tags/list?n={PAGE_SIZE}"
        found: set[str] = set()
        async for page in self._pages(target, repository, m.Tags):
            found.update(tag for tag in page.tags or () if m.is_tag(tag))
        return sorted(found)

    async def read_images(self, repository: str, tag: str) -> list[m.FoundImage]:
        """One for each architecture that can run here."""
        body = await self._manifest(repository, tag)
        digest, manifest = m.digest_of(body), m.read_manifest(body)
        if manifest.manifests is None:
            found = [await self._read(repository, tag, digest, manifest)]
        else:
            found = [
                await self._read(repository, tag, digest, m.read_manifest(child))
                for child in [
                    await self._manifest(repository, each) for each in m.children_of(manifest)
                ]
            ]
        # Of the variants of an architecture, which agents do not tell apart, the first.
        first: dict[str, m.FoundImage] = {}
        for image in found:
            if image is not None:
                first.setdefault(image.architecture, image)
        return list(first.values())

    async def _read(
        self, repository: str, tag: str, digest: str, manifest: m.Manifest
    ) -> m.FoundImage | None:
        if manifest.config is None:
            raise RegistryFault("A list of images holds another list.")
        told = manifest.config.digest
        target = f"{self._url}/v2/{repository}/blobs/{told}"
        answer = await self._ask(target, repository, "*/*")
        _check_digest(told, answer.body)
        configuration = m.read_configuration(answer.body)
        architecture = m.architecture_of(configuration)
        if architecture is None:
            return None
        host = self._registry.hostname
        return m.FoundImage(
            name=f"{host}/{repository}:{tag}",
            registry=host,
            tag=tag,
            architecture=architecture,
            digest=digest,
            size_bytes=manifest.size_bytes(),
            labels=configuration.labels(),
        )

    async def _manifest(self, repository: str, reference: str) -> bytes:
        target = f"{self._url}/v2/{repository}/manifests/{reference}"
        body = (await self._ask(target, repository, m.ACCEPTED)).body
        if ":" in reference:
            _check_digest(reference, body)
        return body

    async def _names(self) -> AsyncIterator[str]:
        if self._registry.kind is RegistryKind.HARBOR2:
            async for name in self._names_of_harbor():
                yield name
            return
        target = f"{self._url}/v2/_catalog?n={PAGE_SIZE}"
        async for page in self._pages(target, "", m.Repositories):
            for name in page.repositories or ():
                yield name

    async def _names_of_harbor(self) -> AsyncIterator[str]:
        api, size = f"{self._url}/api/v2.0/projects", f"page_size={PAGE_SIZE}"
        projects = list(self._registry.projects)
        if not projects:
            async for page in self._pages(f"{api}?{size}", "", list[_Project]):
                projects += [project.name for project in page]
        for project in projects:
            target = f"{api}/{quote(project, safe='')}/repositories?{size}"
            async for page in self._pages(target, "", list[_Project]):
                for repository in page:
                    yield repository.name

    async def _pages(self, target: str, subject: str, kind: type[T]) -> AsyncIterator[T]:
        """Each page of a list; the registry's Link header names the next."""
        page: URL | None = URL(target)
        for _ in range(PAGES_MAX):
            if page is None:
                return
            answer = await self._ask(str(page), subject, "application/json")
            try:
                yield msgspec.json.decode(answer.body, type=kind)
            except (msgspec.MsgspecError, RecursionError) as error:
                raise RegistryFault(f"{page.path} cannot be read: {error}.") from error
            page = answer.next_page
        raise RegistryFault(f"{target} has more than {PAGES_MAX} pages.")

    async def _ask(self, target: str, subject: str, accept: str) -> _Answer:
        """`subject` is the repository that a grant is for, empty for the registry itself."""
        headers = {"Accept": accept}
        if subject in self._granted:
            headers["Authorization"] = self._granted[subject]
        answer = await self._send(target, headers)
        if answer.status == 401:
            self._granted[subject] = await self._authorize(answer.headers)
            headers["Authorization"] = self._granted[subject]
            answer = await self._send(target, headers)
        if answer.status != 200:
            raise RegistryFault(f"{URL(target).path} was answered with {answer.status}.")
        return answer

    async def _authorize(self, headers: Mapping[str, str]) -> str:
        """The Authorization header that the registry's challenge asks for."""
        challenge = m.parse_challenge(headers.get("WWW-Authenticate", ""))
        basic = self._basic()
        if challenge.scheme == "basic" and basic:
            return basic
        if challenge.scheme != "bearer" or "realm" not in challenge.params:
            raise RegistryFault("It wants a login; give it a username and a password.")
        try:
            realm = URL(challenge.params["realm"])
        except ValueError as error:
            raise RegistryFault(f"It sends its clients to no address: {error}.") from error
        if basic and URL(self._url).scheme == "https" and realm.scheme != "https":
            raise RegistryFault(f"It sends the password to {realm.host} without TLS.")
        asked = {
            name: challenge.params[name]
            for name in ("service", "scope")
            if name in challenge.params
        }
        answer = await self._send(
            str(realm.update_query(asked)), {"Authorization": basic} if basic else {}
        )
        return f"Bearer {_token_of(answer)}"

    def _basic(self) -> str:
        if not self._registry.username:
            return ""
        pair = f"{self._registry.username}:{self._registry.password}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"

    async def _send(self, target: str, headers: Mapping[str, str]) -> _Answer:
        """Asked again a few times where the registry is busy or does not answer."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                answer = await self._get(target, headers)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                if attempt == ATTEMPTS_MAX:
                    why = str(error) or type(error).__name__
                    raise RegistryFault(f"{URL(target).host} does not answer: {why}.") from error
                await self._clock.sleep(PAUSE_SECONDS * attempt)
                continue
            if answer.status not in _AGAIN or attempt == ATTEMPTS_MAX:
                return answer
            told = answer.headers.get("Retry-After", "")
            pause = float(told) if told.isascii() and told.isdigit() else PAUSE_SECONDS * attempt
            await self._clock.sleep(min(pause, PAUSE_SECONDS_MAX))
        raise AssertionError("unreachable")

    async def _get(self, target: str, headers: Mapping[str, str]) -> _Answer:
        if self._http is None:
            raise AssertionError("open it with `async with`")
        # What is quoted in the path stays as it is.
        url = URL(target, encoded=True)
        async with self._http.get(url, headers=dict(headers)) as response:
            body = await response.content.read(BODY_BYTES_MAX + 1)
            while not response.content.at_eof() and len(body) <= BODY_BYTES_MAX:
                body += await response.content.read(BODY_BYTES_MAX + 1 - len(body))
            if len(body) > BODY_BYTES_MAX:
                raise RegistryFault(f"{url.path} is longer than {BODY_BYTES_MAX} bytes.")
            return _Answer(response.status, body, response.headers, _next_page(url, response))


def _next_page(url: URL, response: aiohttp.ClientResponse) -> URL | None:
    """The next page of the same registry; another one gets no credentials of this."""
    link = response.links.get("next")
    if link is None or "url" not in link:
        return None
    page = URL(str(link["url"]))
    if page.origin() != url.origin():
        raise RegistryFault(f"It names a page of {page.host} as its next.")
    return page


def _token_of(answer: _Answer) -> str:
    if answer.status != 200:
        raise RegistryFault(f"It refuses the login ({answer.status}).")
    try:
        grant = msgspec.json.decode(answer.body, type=_Grant)
    except msgspec.MsgspecError as error:
        raise RegistryFault(f"Its grant cannot be read: {error}.") from error
    token = grant.token or grant.access_token
    if not token or not token.isprintable():
        raise RegistryFault("Its grant holds no token.")
    return token


def _check_digest(told: str, body: bytes) -> None:
    if not m.fits_digest(body, told):
        raise RegistryFault(f"What it gave for {told[:32]} is something else.")
