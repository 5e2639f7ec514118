"""The two ways to the API: signed by keys, or through the webserver for who logged in there.

`BAI_TEST_ENDPOINT_TYPE=session` has all commands take the second one.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.conformance.calls import Calls
from tests.conformance.official import Official
from tests.running.stack import Stack

VARIABLE: Final = "BAI_TEST_ENDPOINT_TYPE"
SESSION: Final = "session"
# What can only be asked with keys at hand.
KEYS_ONLY: Final = {
    "test_config_shows_who_asks_whom": "it shows the keys",
    "test_passwords_that_do_not_expire_are_not_renewed_without_signing": (
        "the client takes the refusal of a webserver for success"
    ),
}


def is_session() -> bool:
    return os.environ.get(VARIABLE) == SESSION


def enter(official: Official, stack: Stack, who: str = "user") -> Official:
    """`official` as a person of the stack, by the way that the environment names."""
    environ = official.environ | stack.credentials(who)
    if not is_session():
        return replace(official, environ=environ)
    address = str(stack.daemon("webserver")["address"])
    found = replace(official, environ=environ)
    return log_in(found, address, environ["BAI_LOGIN"], environ["BAI_PASSWORD"])


def log_in(official: Official, address: str, user: str, password: str) -> Official:
    """The client with a home of its own in which somebody has logged in."""
    found = prepare(official, address, user)
    done = replace(found, calls=Calls(official.calls.tree))(
        "login", typed=f"{user}\n{password}\n", seconds=60
    )
    assert done.code == 0, done.both
    assert "Login succeeded" in done.both
    return found


def prepare(official: Official, address: str, user: str) -> Official:
    """The client before anybody has logged in."""
    home = Path(official.environ["HOME"]) / user
    home.mkdir(exist_ok=True)
    kept = {name: text for name, text in official.environ.items() if name != "BACKEND_SECRET_KEY"}
    own = {"HOME": str(home), "BACKEND_ENDPOINT": address, "BACKEND_ENDPOINT_TYPE": SESSION}
    return replace(official, environ=kept | own)
