"""Where the tokens of logins at webservers are kept.

A token is as good as a password while it lasts: the file is its owner's alone to read.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backendai.client.faults import LocalFileFailed


@dataclass(frozen=True, slots=True)
class LoginFile:
    """Tokens by the address of their webserver, in one file of mode 0600."""

    path: Path

    @classmethod
    def find(cls, environ: Mapping[str, str] = os.environ) -> "LoginFile":
        state = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME", "~")) / ".local/state"
        return cls(Path(state).expanduser() / "backendai" / "logins.json")

    def find_token(self, endpoints: tuple[str, ...]) -> str:
        """That of the first address that has one, else empty. Raises LocalFileFailed."""
        known = self._read()
        return next((known[one] for one in endpoints if one in known), "")

    def keep(self, endpoints: tuple[str, ...], token: str) -> None:
        self._write({**self._read(), **dict.fromkeys(endpoints, token)})

    def drop(self, endpoints: tuple[str, ...]) -> None:
        self._write({one: text for one, text in self._read().items() if one not in endpoints})

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise LocalFileFailed.of(error, self.path) from error
        except ValueError:
            # Written by something else: whoever is in it logs in again.
            return {}
        return {str(key): str(text) for key, text in found.items()} if type(found) is dict else {}

    def _write(self, tokens: Mapping[str, str]) -> None:
        new = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(tokens, file, indent=1)
            new.replace(self.path)
        except OSError as error:
            with suppress(OSError):
                new.unlink()
            raise LocalFileFailed.of(error, self.path) from error
