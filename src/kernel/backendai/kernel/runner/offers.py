"""Which apps a kernel offers: built in, declared by the image or the session, or found in it."""

import shutil
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final, Literal

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


# The apps whose programs are looked for in the image: program, and what is offered.
FOUND: Final = {
    "jupyter-lab": Offer("jupyterlab", "http", (8888,), "found"),
    "jupyter-notebook": Offer("jupyter", "http", (8889,), "found"),
    "tensorboard": Offer("tensorboard", "http", (6006,), "found"),
    "code-server": Offer("vscode", "http", (8443,), "found"),
}


def list_offers(declared: Iterable[DeclaredApp], search_path: str) -> dict[str, Offer]:
    """By name, in the order of preference; `search_path` is the PATH of the image."""
    offers = {offer.name: offer for offer in BUILT_IN}
    for app in declared:
        if app.ports:
            offer = Offer(app.name, app.protocol, tuple(app.ports), "declared")
            offers.setdefault(app.name, offer)
    for program, found in FOUND.items():
        if found.name not in offers and shutil.which(program, path=search_path):
            taken = {port for offer in offers.values() for port in offer.ports}
            port = find_free_port(found.ports[0], taken)
            offers[found.name] = Offer(found.name, found.protocol, (port,), found.source)
    return offers


def find_program(name: str, search_path: str) -> str | None:
    """The path of the program by which the platform knows to start an app of this name."""
    names = (program for program, found in FOUND.items() if found.name == name)
    return next((shutil.which(program, path=search_path) for program in names), None)


def find_free_port(wanted: int, taken: Container[int]) -> int:
    return next(port for port in range(wanted, PORT_MAX + 1) if port not in taken)
