"""PURE: what a registry's documents say of an image: manifests, lists of them, configurations."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from backendai.common.faults import RegistryFault

ACCEPTED: Final = (
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
# As agents call them.
_ARCHITECTURES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
_PLATFORM: Final = "linux"
_REPOSITORY: Final = re.compile(r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
Digest = Annotated[str, msgspec.Meta(pattern=r"\A(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\Z")]
# Of what a person could store; the sum over the layers stays within the database's integers.
Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 50)]
_CHALLENGE: Final = re.compile(r'(\w+)\s*=\s*"([^"]*)"')


@dataclass(frozen=True, slots=True)
class FoundImage:
    """One image of one architecture in a registry. `name` is canonical; `digest` is what its tag
    stands for, the same for all architectures of a list."""

    name: str
    registry: str
    tag: str
    architecture: str
    digest: str
    size_bytes: int
    labels: Mapping[str, str]


class Platform(msgspec.Struct, frozen=True):
    architecture: str = ""
    os: str = ""


class Part(msgspec.Struct, frozen=True):
    """What a manifest refers to: a layer, a configuration, or another manifest."""

    digest: Digest
    size: Size = 0
    platform: Platform | None = None


class Manifest(msgspec.Struct, frozen=True):
    """One image, with its configuration, or a list of images, one for each platform."""

    manifests: list[Part] | None = None
    config: Part | None = None
    layers: list[Part] = []

    def size_bytes(self) -> int:
        """What has to be fetched to run it."""
        parts = [*self.layers, *([self.config] if self.config else [])]
        return sum(part.size for part in parts)


class Settings(msgspec.Struct, frozen=True):
    labels: dict[str, str] | None = msgspec.field(default=None, name="Labels")


class Configuration(msgspec.Struct, frozen=True):
    architecture: str = ""
    os: str = ""
    config: Settings | None = None

    def labels(self) -> dict[str, str]:
        return (self.config.labels if self.config else None) or {}


class Repositories(msgspec.Struct, frozen=True):
    """A page of the catalog."""

    repositories: list[str] | None = None


class Tags(msgspec.Struct, frozen=True):
    """A page of a repository's tags; null when it has none."""

    tags: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Challenge:
    """How a registry wants to be asked: `scheme` in lower case, such as bearer or basic."""

    scheme: str
    params: Mapping[str, str]


def read_manifest(body: bytes) -> Manifest:
    """Raises RegistryFault for what is neither an image nor a list."""
    try:
        manifest = msgspec.json.decode(body, type=Manifest)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RegistryFault(f"Its manifest cannot be read: {error}.") from error
    if manifest.manifests is None and manifest.config is None:
        raise RegistryFault("Its manifest is of a kind that is not known here.")
    return manifest


def read_configuration(body: bytes) -> Configuration:
    """Raises RegistryFault, also for texts that no database keeps."""
    try:
        configuration = msgspec.json.decode(body, type=Configuration)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RegistryFault(f"Its configuration cannot be read: {error}.") from error
    told = [configuration.architecture, *configuration.labels(), *configuration.labels().values()]
    if any("\0" in text for text in told):
        raise RegistryFault("Its configuration has NUL in a text.")
    return configuration


def children_of(manifest: Manifest) -> list[str]:
    """The digests in a list that are images; attestations beside them have no platform."""
    parts = manifest.manifests or []
    return [part.digest for part in parts if part.platform is None or _runs(part.platform)]


def architecture_of(configuration: Configuration) -> str | None:
    """As agents call it; None for what does not run here."""
    if not _runs(Platform(configuration.architecture, configuration.os)):
        return None
    return _ARCHITECTURES.get(configuration.architecture, configuration.architecture)


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def fits_digest(body: bytes, digest: str) -> bool:
    algorithm, _, told = digest.partition(":")
    return hashlib.new(algorithm, body).hexdigest() == told


def is_repository(text: str) -> bool:
    return len(text) < 200 and _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    return _TAG.fullmatch(text) is not None


def is_wanted(repository: str, projects: tuple[str, ...]) -> bool:
    """Whether it belongs to one of the projects; all do where none is named."""
    return not projects or any(
        repository == project or repository.startswith(f"{project}/") for project in projects
    )


def parse_challenge(header: str) -> Challenge:
    """From WWW-Authenticate; without one, or with an odd one, the scheme is empty."""
    scheme, _, rest = header.strip().partition(" ")
    return Challenge(scheme.lower(), dict(_CHALLENGE.findall(rest)))


def _runs(platform: Platform) -> bool:
    known = bool(platform.architecture) and platform.architecture != "unknown"
    return known and platform.os == _PLATFORM
