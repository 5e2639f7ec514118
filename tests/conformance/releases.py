"""Releases of the official client that can be asked, and where one differs from the table."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

VARIABLE: Final = "BAI_TEST_CLIENT"


@dataclass(frozen=True)
class Release:
    """`broken` are commands and calls that fail in the client itself, whatever it is answered, with
    why; `renamed` is the table's name of what this release calls otherwise."""

    version: str
    # Empty is the Python of the tests.
    python: str = ""
    pins: tuple[str, ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)


# It reads a private attribute that later releases of yarl do not have.
MAIN: Final = Release("23.9.10", pins=("yarl==1.9.4",))
NEWER: Final = Release(
    "25.5.2",
    python="3.12",
    broken={
        "session create-from-template": "it hands `attach_network` to a call that takes none",
        "create-from-template": "it hands `attach_network` to a call that takes none",
    },
    renamed={"admin resource container-registries": "admin resource docker-registries"},
)


def find_release() -> Release:
    """The one that the environment names, else that of the table. Raises KeyError."""
    known = {release.version: release for release in (MAIN, NEWER)}
    return known[os.environ.get(VARIABLE, MAIN.version)]
