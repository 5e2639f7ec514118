"""Where the API is and who asks: from arguments or from the environment; of files it reads the one
that `backendai login` keeps."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from backendai.client.faults import NotConfigured
from backendai.client.login_file import LoginFile

if TYPE_CHECKING:
    import ssl

HINT = "After `./bai up`, load the variables with `. .bai/env-user.sh`."

# What headers carry -> where the environment has it.
WORDS = {
    "access_key": "BACKEND_ACCESS_KEY",
    "secret_key": "BACKEND_SECRET_KEY",
    "domain": "BACKEND_DOMAIN",
    "project": "BACKEND_GROUP",
}
# Requests that are signed by keys, or through a webserver for who is logged in there.
API = "api"
SESSION = "session"


@dataclass(frozen=True, slots=True)
class Config:
    """One user of one API: by keys, or of the `kind` "session" by the `token` of a login at a
    webserver.

    `endpoints` are base URLs, tried in order when one is away. Times are in seconds:
    `request_seconds` bounds a plain request (a create waits as long as the server does),
    `retry_seconds` is how long a request that lost its connection is asked again. `signs_body`
    takes the signature form that covers the body too, which not every server knows.
    """

    endpoints: tuple[str, ...]
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    domain: str = "default"
    project: str = "default"
    verify_certificates: bool = True
    signs_body: bool = False
    connect_seconds: float = 10.0
    request_seconds: float = 60.0
    retry_seconds: float = 30.0
    kind: str = API
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not self.endpoints:
            raise NotConfigured("No address of the API is given.")
        for endpoint in self.endpoints:
            _check_endpoint(endpoint)
        if bool(self.access_key) != bool(self.secret_key):
            raise NotConfigured("Give both an access key and a secret key.")
        for name in WORDS:
            _check_word(name, getattr(self, name))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """From BACKEND_ENDPOINT, BACKEND_ACCESS_KEY, BACKEND_SECRET_KEY, BACKEND_DOMAIN,
        BACKEND_GROUP, BACKEND_SIGN_BODY (yes or no) and BACKEND_SKIP_SSLCERT_VALIDATION; with
        BACKEND_ENDPOINT_TYPE=session from a login in place of keys. Raises NotConfigured."""
        if _kind_of(environ) == SESSION:
            config = cls.of_webserver(environ)
            if not config.token:
                raise NotConfigured(
                    f"Nobody is logged in at {config.endpoints[0]}: run `backendai login`."
                )
            return config
        needed = ("BACKEND_ENDPOINT", "BACKEND_ACCESS_KEY", "BACKEND_SECRET_KEY")
        missing = [name for name in needed if not environ.get(name)]
        if missing:
            raise NotConfigured(f"Not set: {', '.join(missing)}. {HINT}")
        return replace(
            cls._from_common(environ),
            access_key=environ["BACKEND_ACCESS_KEY"],
            secret_key=environ["BACKEND_SECRET_KEY"],
            signs_body=_is_yes(environ.get("BACKEND_SIGN_BODY")),
        )

    @classmethod
    def of_webserver(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """The webserver of the environment, with the token of a login there, which is empty where
        nobody is logged in. Raises NotConfigured."""
        if not environ.get("BACKEND_ENDPOINT") or _kind_of(environ) != SESSION:
            raise NotConfigured(
                "Set BACKEND_ENDPOINT to the address of a webserver, and "
                f"BACKEND_ENDPOINT_TYPE={SESSION}."
            )
        config = replace(cls._from_common(environ), kind=SESSION)
        return replace(config, token=LoginFile.find(environ).find_token(config.endpoints))

    @classmethod
    def _from_common(cls, environ: Mapping[str, str]) -> Self:
        endpoints = environ["BACKEND_ENDPOINT"].split(",")
        return cls(
            endpoints=tuple(text.strip().rstrip("/") for text in endpoints if text.strip()),
            domain=environ.get("BACKEND_DOMAIN") or "default",
            project=environ.get("BACKEND_GROUP") or "default",
            verify_certificates=not _is_yes(environ.get("BACKEND_SKIP_SSLCERT_VALIDATION")),
        )

    def make_tls_context(self) -> "ssl.SSLContext":
        """A context that checks certificates, unless told otherwise."""
        import ssl

        context = ssl.create_default_context()
        if not self.verify_certificates:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _kind_of(environ: Mapping[str, str]) -> str:
    kind = environ.get("BACKEND_ENDPOINT_TYPE") or API
    if kind not in (API, SESSION):
        raise NotConfigured(f"BACKEND_ENDPOINT_TYPE must be {API} or {SESSION}, not {kind!r}.")
    return kind


def _is_yes(text: str | None) -> bool:
    return (text or "").lower() in ("yes", "true", "1", "y", "on")


def _check_word(name: str, text: str) -> None:
    """Headers carry printable ASCII only. The text is not quoted: it may be a secret."""
    if not (text.isascii() and text.isprintable()):
        raise NotConfigured(f"{name} ({WORDS[name]}) may have printable ASCII letters only.")


def _check_endpoint(endpoint: str) -> None:
    if not endpoint.isascii() or not endpoint.isprintable() or " " in endpoint:
        raise NotConfigured(f"{endpoint!r} is no address: write it in ASCII, without blanks.")
    try:
        parts = urlsplit(endpoint)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_address = is_address and parts.port != 0
    except ValueError as error:
        raise NotConfigured(f"{endpoint!r} is no address: {error}.") from None
    if not is_address:
        raise NotConfigured(f"{endpoint!r} is no address: write http://host:port or https://host.")
    if parts.query or parts.fragment or parts.username:
        raise NotConfigured(f"{endpoint!r} may have no user name, query or fragment.")
