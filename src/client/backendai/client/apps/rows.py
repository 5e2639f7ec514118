"""What calls about apps take and give: frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class AppOptions:
    """`port` is the one of the app's that is meant, None its first. `arguments` are options of its
    command line (None: one without a value), `envs` variables: they count when it is started."""

    port: int | None = None
    arguments: Mapping[str, str | list[str] | None] = field(default_factory=dict)
    envs: Mapping[str, str] = field(default_factory=dict)

    def texts(self) -> dict[str, str | None]:
        """As the API takes maps: JSON text."""
        given = {"arguments": self.arguments, "envs": self.envs}
        return {
            key: msgspec.json.encode(value).decode() if value else None
            for key, value in given.items()
        }


DEFAULTS = AppOptions()


class App(msgspec.Struct, frozen=True, kw_only=True):
    """`ports` are those in the session; none for an app that is built in."""

    name: str
    protocol: str
    ports: tuple[int, ...] = ()


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What an app proxy at `wsproxy_addr` asks a browser for."""

    token: str
    wsproxy_addr: str


class Circuit(msgspec.Struct, frozen=True, kw_only=True):
    """A way of a browser into an app. Times are ISO 8601 text."""

    id: str
    session_id: str
    app: str
    port: int
    protocol: str
    access_key: str
    open_to_public: bool = False
    proxy: str = ""
    subdomain: str | None = None
    public_port: int | None = None
    created_at: str = ""
    expires_at: str = ""
    used_at: str | None = None
