"""Sample images in the engine of a running stack: built once for this machine, then kept.

What is kept is the archive of the image, under a name that changes with its recipes.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Final

from backendai.halfstack.dockerfiles import Recipe, find_recipes, load_recipes, order_recipes
from backendai.halfstack.images import find_cache
from tests.running.rest import Api
from tests.running.sessions import ask_graph
from tests.running.stack import COMMAND, Stack, run
from tests.running.waiting import until

_BUILD_SECONDS: Final = 900.0
_BYTES: Final = 1 << 20


def provide_image(stack: Stack, name: str) -> str:
    """The tag of a recipe's image, as soon as sessions may use it."""
    chain = order_recipes(load_recipes(find_recipes()), [name])
    tag, kept = chain[-1].tag, find_cache() / "images" / f"tests-{name}-{_digest(chain)}.tar"
    if kept.exists():
        _load(stack, kept)
    else:
        done = run([str(COMMAND), "images", "build", name], stack.environ, _BUILD_SECONDS)
        assert done.code == 0, done.both
        _save(stack, tag, kept)
    api = stack.api()
    until(lambda: tag in _list_installed(api), f"{tag} is known to the manager")
    api.close()
    return tag


def _digest(chain: list[Recipe]) -> str:
    state = hashlib.sha256()
    for recipe in chain:
        for path in sorted(recipe.folder.iterdir()):
            state.update(path.read_bytes())
    return state.hexdigest()[:12]


def _load(stack: Stack, archive: Path) -> None:
    with stack.engine() as client, archive.open("rb") as file:
        client.images.load(file)


def _save(stack: Stack, tag: str, archive: Path) -> None:
    """Never half there."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    fresh = archive.with_suffix(".new")
    with stack.engine() as client, fresh.open("wb") as file:
        for chunk in client.images.get(tag).save(chunk_size=_BYTES, named=True):
            file.write(chunk)
    shutil.move(fresh, archive)


def _list_installed(api: Api) -> list[str]:
    rows = ask_graph(api, "{ images { name tag installed } }", {})["images"]
    return [f"{row['name']}:{row['tag']}" for row in rows if row["installed"]]
