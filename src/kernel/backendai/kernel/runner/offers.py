"""Which apps a kernel offers: built in, declared by the image or the session, or found in it."""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from backendai.kernel.runner.recipes import RECIPES, find_program
from backendai.kernel.wire import PORT_MAX, DeclaredApp

PREOPEN: Final = "preopen"


@dataclass(frozen=True)
class Offer:
    """`ports` of a built-in app are names only: it listens on a Unix socket."""

    name: str
    protocol: str
    ports: tuple[int, ...]
    source: Literal["built-in", "declared", "found"]


BUILT_IN: Final = (
    Offer("ttyd", "http", (7681,), "built-in"),
    Offer("sshd", "tcp", (2200,), "built-in"),
    Offer("files", "http", (7682,), "built-in"),
)


def list_offers(declared: Iterable[DeclaredApp], search_path: str) -> dict[str, Offer]:
    """By name, in the order of preference; `search_path` is the PATH of the image."""
    offers = {offer.name: offer for offer in BUILT_IN}
    for app in declared:
        if app.ports:
            offer = Offer(app.name, app.protocol, tuple(app.ports), "declared")
            offers.setdefault(app.name, offer)
    for recipe in RECIPES.values():
        if recipe.name not in offers and find_program(recipe, search_path):
            port = find_free_port(recipe.port, {p for one in offers.values() for p in one.ports})
            offers[recipe.name] = Offer(recipe.name, recipe.protocol, (port,), "found")
    return offers


def find_free_port(wanted: int, taken: Container[int]) -> int:
    return next(port for port in range(wanted, PORT_MAX + 1) if port not in taken)
