"""The sample images of `images/`: which there are, in which order they are built, and their build.

An image that was built from the same files on the same base is not built again.
"""

import hashlib
import io
import os
import tarfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .faults import SetupFault
from .images import BASE, RECIPE_LABEL, find_cache, import_image

CATALOGUE: Final = "images.toml"
_CERTIFICATES: Final = "certificates.crt"
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_LAST_LINES: Final = 8


@dataclass(frozen=True)
class Recipe:
    """One image: `base` is the tag of another recipe, or of the base that `up` imports."""

    name: str
    tag: str
    base: str
    about: str
    folder: Path


def find_recipes() -> Path:
    """The folder of recipes: inside the installed package, else in the source tree."""
    here = Path(__file__).resolve()
    installed = here.parent / "dockerfiles"
    return installed if installed.is_dir() else here.parents[3] / "images"


def load_recipes(folder: Path) -> dict[str, Recipe]:
    """By name, in the order of the catalogue."""
    with (folder / CATALOGUE).open("rb") as file:
        catalogue = tomllib.load(file)
    return {name: Recipe(name=name, folder=folder / name, **one) for name, one in catalogue.items()}


def order_recipes(recipes: Mapping[str, Recipe], names: Iterable[str]) -> list[Recipe]:
    """Those named and what they stand on, each after its base. Raises SetupFault."""
    by_tag = {recipe.tag: recipe for recipe in recipes.values()}
    ordered: dict[str, Recipe] = {}
    for name in names:
        if name not in recipes:
            raise SetupFault(
                f"there is no image {name!r} here", f"choose among {', '.join(recipes)}"
            )
        chain: list[Recipe] = []
        one: Recipe | None = recipes[name]
        while one is not None and one not in chain:
            chain.append(one)
            one = by_tag.get(one.base)
        ordered |= {link.name: link for link in reversed(chain)}
    return list(ordered.values())


def build_image(
    client: Any, recipe: Recipe, environ: Mapping[str, str], say: Callable[[str], None]
) -> bool:
    """Have the engine build it; False when it is there already. Raises SetupFault.

    `client` is a docker.APIClient. The proxies of `environ` hold while it is built; the file that
    its SSL_CERT_FILE names becomes part of the image, since sessions need it as much.
    """
    from docker.errors import APIError

    context = read_context(recipe, environ.get("SSL_CERT_FILE"))
    base_id = str(client.inspect_image(recipe.base)["Id"])
    digest = _digest(recipe, base_id, context)
    if _read_digest(client, recipe.tag) == digest:
        return False
    proxies = {name: environ[name] for name in _PROXIES if environ.get(name)}
    try:
        messages = client.build(
            fileobj=io.BytesIO(pack_context(context)),
            custom_context=True,
            tag=recipe.tag,
            buildargs={"BASE": recipe.base, **proxies},
            labels={RECIPE_LABEL: digest},
            rm=True,
            forcerm=True,
            decode=True,
        )
        follow_build(recipe, messages, say)
    except APIError as error:
        raise _explain(recipe, str(error.explanation or error)) from error
    return True


def read_context(recipe: Recipe, certificates: str | None) -> dict[str, bytes]:
    """Every file of the recipe's folder, by name; certificates of the site in their place."""
    files = {path.name: path.read_bytes() for path in sorted(recipe.folder.iterdir())}
    if certificates and _CERTIFICATES in files:
        try:
            files[_CERTIFICATES] = Path(certificates).read_bytes()
        except OSError as error:
            raise SetupFault(
                f"SSL_CERT_FILE cannot be read: {error}", "name a readable file, or unset it"
            ) from error
    return files


def pack_context(files: Mapping[str, bytes]) -> bytes:
    """A tar archive, the same bytes for the same files, so that the engine's cache is of use."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def follow_build(
    recipe: Recipe, messages: Iterable[Mapping[str, Any]], say: Callable[[str], None]
) -> None:
    """Tell each step as it begins. Raises SetupFault with the last lines when one fails."""
    printed: list[str] = []
    for message in messages:
        if "error" in message:
            told = " | ".join([*printed[-_LAST_LINES:], str(message["error"]).strip()])
            raise _explain(recipe, told)
        for line in _list_lines(message):
            printed.append(line)
            if line.startswith("Step "):
                say(f"{recipe.tag}: {line}")


def build_all(
    names: Iterable[str], docker_host: str, say: Callable[[str], None]
) -> Iterator[tuple[Recipe, bool]]:
    """Build those named, or all, with what they stand on; each with whether it was built now."""
    import docker

    recipes = load_recipes(find_recipes())
    chosen = order_recipes(recipes, tuple(names) or tuple(recipes))
    import_image(BASE, docker_host, find_cache())
    client = docker.APIClient(base_url=docker_host, timeout=600)
    try:
        for recipe in chosen:
            yield recipe, build_image(client, recipe, os.environ, say)
    finally:
        client.close()


def _read_digest(client: Any, tag: str) -> str | None:
    from docker.errors import ImageNotFound

    with suppress(ImageNotFound):
        labels = client.inspect_image(tag)["Config"]["Labels"] or {}
        return str(labels.get(RECIPE_LABEL, ""))
    return None


def _digest(recipe: Recipe, base_id: str, context: Mapping[str, bytes]) -> str:
    parts = [recipe.tag.encode(), base_id.encode(), pack_context(context)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _list_lines(message: Mapping[str, Any]) -> list[str]:
    text = str(message.get("stream", ""))
    return [line.strip() for line in text.splitlines() if line.strip()]


def _explain(recipe: Recipe, told: str) -> SetupFault:
    return SetupFault(
        f"{recipe.tag} could not be built: {told[-1500:]}",
        "the mirrors of Debian and PyPI have to be reachable from containers; behind a proxy set "
        "HTTPS_PROXY, and SSL_CERT_FILE where it signs anew",
    )
