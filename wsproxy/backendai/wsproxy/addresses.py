"""Where apps are offered, and how browsers reach them and us. PURE."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from .circuits.model import Circuit, Protocol
from .settings import WsproxySection

_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_PORTS: Final = {"http": 80, "https": 443}
_PATH_CHARS_MAX: Final = 2048
_SAFE: Final = "/?&=#%:;,+@!$'()*~"


@dataclass(frozen=True, slots=True)
class Addresses:
    """`own` is the address of the API without a slash at its end."""

    own: str
    scheme: str
    host: str
    domain: str
    apps_port: int

    @property
    def is_secure(self) -> bool:
        return self.scheme == "https"

    @property
    def path_prefix(self) -> str:
        """The path before which a TLS proxy serves the API; empty without one."""
        return urlsplit(self.own).path

    def url_of(self, circuit: Circuit) -> str:
        """The origin of the circuit's app."""
        if circuit.protocol is Protocol.TCP:
            return f"tcp://{self.host}:{circuit.public_port}"
        if circuit.subdomain is None:
            return f"{self.scheme}://{self.host}:{circuit.public_port}"
        usual = _PORTS[self.scheme] == self.apps_port
        port = "" if usual else f":{self.apps_port}"
        return f"{self.scheme}://{circuit.subdomain}.{self.domain}{port}"

    def subdomain_of(self, host: bytes) -> str | None:
        """The name below our domain in a `Host` header; None for every other host."""
        text = host.decode("ascii", "replace").lower()
        name, colon, port = text.partition(":")
        if colon and not (port.isdecimal() and port.isascii()):
            return None
        label, _, rest = name.partition(".")
        return label if rest == self.domain and _LABEL.fullmatch(label) else None


def make_addresses(own: WsproxySection) -> Addresses:
    url = own.advertised_url or f"http://{own.service_addr}"
    parts = urlsplit(url)
    scheme = own.apps_scheme or parts.scheme
    host = own.apps_host or parts.hostname or own.service_addr.host
    return Addresses(
        own=url,
        scheme=scheme,
        host=f"[{host}]" if ":" in host else host,
        domain=own.domain or "",
        apps_port=own.apps_port or (443 if scheme == "https" else own.apps_addr.port),
    )


def is_label(text: str) -> bool:
    """Whether a circuit may have this name below the domain."""
    return _LABEL.fullmatch(text) is not None


def local_path(text: str) -> str:
    """A path of the app itself, with its query, as it stands in a `Location`.

    Raises ValueError for what leads elsewhere.
    """
    if not text.isprintable() or "\\" in text or len(text) > _PATH_CHARS_MAX:
        raise ValueError("must be a path of the app")
    if not text.startswith("/") or text.startswith("//"):
        raise ValueError("must be a path of the app, beginning with one slash")
    return quote(text, safe=_SAFE)
