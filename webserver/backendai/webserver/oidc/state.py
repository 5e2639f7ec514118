"""What one way to the provider and back has to remember, and where people go afterwards. Pure but
for random bits."""

import base64
import hashlib
import re
import secrets
from typing import Final
from urllib.parse import urlencode

import msgspec

from backendai.common.faults import BadRequest

LIFE_SECONDS: Final = 600
# The login page reads them, and takes them out of the address.
REFUSED: Final = "refused"
REQUEST: Final = "request"
_LOCAL: Final = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,1023}")


class Attempt(msgspec.Struct, frozen=True):
    """`state` comes back with the browser, `nonce` in the provider's token; `verifier` proves that
    it was us who sent the browser there. `expires` is in Unix seconds."""

    state: str
    nonce: str
    verifier: str
    next: str
    redirect_uri: str
    expires: float


def make_attempt(next_path: str, redirect_uri: str, now: float) -> Attempt:
    """Raises BadRequest unless `next_path` is a path of ours."""
    return Attempt(
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        next=read_local_path(next_path),
        redirect_uri=redirect_uri,
        expires=now + LIFE_SECONDS,
    )


def read_local_path(text: str) -> str:
    """`text`, if no browser takes it for another site's address. Raises BadRequest."""
    if not _LOCAL.fullmatch(text):
        raise BadRequest("`next` must be a path of this site.")
    return text


def refusal_address(next_path: str, code: str, request_id: str) -> str:
    """The page at `next_path`, which is the login page for who is not let in, with two words."""
    path, hash_, fragment = next_path.partition("#")
    mark = "&" if "?" in path else "?"
    told = urlencode({REFUSED: code, REQUEST: request_id})
    return f"{path}{mark}{told}{hash_}{fragment}"


def compose_query(attempt: Attempt, client_id: str, scopes: str) -> str:
    """What the browser asks the provider."""
    digest = hashlib.sha256(attempt.verifier.encode("ascii")).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
    return urlencode(
        {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": scopes,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
    )
