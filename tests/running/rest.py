"""The API as bytes on a connection: requests that a careful or a careless client would send."""

import http.client
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from backendai.common.signing import SignedRequest, signed_headers

VERSION: Final = "v7.20230615"
NO_BODY: Final = object()


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The slug of a problem document, such as `auth-failed`."""
        return str(self.json()["type"]).rpartition("/")[2]


@dataclass(slots=True)
class Api:
    """Signed requests of one keypair over one kept connection. An empty access key signs nothing.

    `date` replaces the present time; `answer_seconds` bounds one answer.
    """

    endpoint: str
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    date: datetime | None = None
    answer_seconds: float = 120.0
    _connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, target: str, body: Any = NO_BODY, **more: str) -> Answer:
        """One request; `body` is sent as JSON, `more` are further headers.

        Raises OSError when nothing answers.
        """
        data = b"" if body is NO_BODY else json.dumps(body).encode()
        content_type = "text/plain" if body is NO_BODY else "application/json"
        return self.send(method, target, data, content_type, **more)

    def send(self, method: str, target: str, data: bytes, content_type: str, **more: str) -> Answer:
        """As `ask`, with bytes; `more` are further headers."""
        headers = {"Content-Type": content_type, **self.sign(method, target, content_type), **more}
        connection = self._connect()
        try:
            connection.request(method, target, data, headers)
            response = connection.getresponse()
            body = response.read()
        except http.client.HTTPException as error:
            self.close()
            raise ConnectionError(f"{method} {target}: {error!r}") from error
        except OSError:
            self.close()
            raise
        if response.will_close:
            self.close()
        pairs = {name.lower(): text for name, text in response.getheaders()}
        return Answer(response.status, pairs, body)

    def sign(self, method: str, target: str, content_type: str) -> dict[str, str]:
        """The headers of a signed request; without an access key those of an anonymous one."""
        date_text = (self.date or datetime.now(UTC)).isoformat()
        if not self.access_key:
            return {"Date": date_text, "X-BackendAI-Version": VERSION}
        request = SignedRequest(
            method=method,
            target=target,
            date_text=date_text,
            host=urlsplit(self.endpoint).netloc,
            content_type=content_type.partition(";")[0],
            version=VERSION,
        )
        return signed_headers(request, self.access_key, self.secret_key)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            host = urlsplit(self.endpoint).netloc
            self._connection = http.client.HTTPConnection(host, timeout=self.answer_seconds)
        return self._connection


def new_session(name: str, image: str, **changes: Any) -> dict[str, Any]:
    """The body of a create as clients send it; `changes` replace keys, `config` as a whole."""
    config: dict[str, Any] = {"mounts": [], "environ": {}, "resources": {}, "resource_opts": {}}
    body = {
        "name": name,
        "image": image,
        "config": config,
        "group": "default",
        "domain": "default",
        "type": "interactive",
        "reuseIfExists": False,
    }
    return body | changes
