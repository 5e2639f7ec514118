"""Somebody with a browser, as servers see it: one jar of cookies, pages, apps and their sockets."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

from tests.running.rest import VERSION, Answer
from tests.running.wsproxy import Loop

ANSWER_SECONDS: Final = 20.0
_TYPED, _CONTROL = b"\x00", b"\x01"


class Visitor:
    """Of the GUI at `origin`. Whatever does not answer is told as an OSError."""

    def __init__(
        self,
        loop: Loop,
        origin: str,
        answer_seconds: float = ANSWER_SECONDS,
        connect: Callable[[], aiohttp.BaseConnector] = aiohttp.TCPConnector,
    ) -> None:
        self._loop = loop
        self._origin = origin
        self.answer_seconds = answer_seconds
        self._http: aiohttp.ClientSession = loop.run(_open_session(connect))

    def close(self) -> None:
        self._loop.run(self._http.close())

    def ask(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        """`target` is a path of the GUI's origin, or an address. Follows no redirect."""
        url = target if "://" in target else self._origin + target
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        named.setdefault("X-BackendAI-Version", VERSION)

        async def run() -> Answer:
            async with (
                asyncio.timeout(self.answer_seconds),
                self._http.request(
                    method, url, json=body, headers=named, allow_redirects=False
                ) as answer,
            ):
                pairs = {name.lower(): text for name, text in answer.headers.items()}
                return Answer(answer.status, pairs, await answer.read())

        with _as_away():
            found: Answer = self._loop.run(run())
            return found

    def log_in(self, name: str, password: str) -> None:
        body = {"username": name, "password": password}
        answer = self.ask("POST", "/server/login", body)
        assert answer.json()["authenticated"], answer

    def is_logged_in(self) -> bool:
        answer = self.ask("POST", "/server/login-check")
        return answer.status == 200 and bool(answer.json()["authenticated"])

    def open_app(self, session: str, app: str) -> str:
        """The address of an app of a session, for which the jar has a permit from now on."""
        started = self.ask("POST", f"/func/session/{session}/start-service", {"app": app})
        assert started.status == 200, started
        opening = started.json()
        path = f"/v2/proxy/{quote(opening['token'])}/{session}/add?app={app}"
        added = self.ask("GET", opening["wsproxy_addr"] + path)
        assert added.status == 200, added
        known = self.ask("GET", added.json()["url"], Accept="application/json")
        setup = known.json()["redirect_url"]
        assert self.ask("GET", setup).status == 303
        where = urlsplit(setup)
        return f"{where.scheme}://{where.netloc}"

    def cookie(self, name: str, address: str) -> str:
        """What the jar has for an address; empty for nothing."""
        found = self._http.cookie_jar.filter_cookies(URL(address)).get(name)
        return found.value if found is not None else ""

    def connect(self, url: str) -> "Socket":
        async def run() -> aiohttp.ClientWebSocketResponse:
            async with asyncio.timeout(self.answer_seconds):
                return await self._http.ws_connect(url, max_msg_size=1 << 24)

        with _as_away():
            return Socket(self._loop, self._loop.run(run()), self.answer_seconds)


class Socket:
    """An open WebSocket."""

    def __init__(self, loop: Loop, socket: aiohttp.ClientWebSocketResponse, seconds: float) -> None:
        self._loop = loop
        self._socket = socket
        self._seconds = seconds

    def send(self, data: bytes | str) -> None:
        with _as_away():
            if isinstance(data, bytes):
                self._loop.run(self._socket.send_bytes(data))
            else:
                self._loop.run(self._socket.send_str(data))

    def receive(self) -> bytes | str:
        """The next message. Raises ConnectionError when there is none any more."""

        async def run() -> aiohttp.WSMessage:
            async with asyncio.timeout(self._seconds):
                return await self._socket.receive()

        with _as_away():
            message = self._loop.run(run())
        if message.type not in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
            raise ConnectionError(f"the socket is closed: {message}")
        data: bytes | str = message.data
        return data

    def close(self) -> None:
        self._loop.run(self._socket.close())


class Screen:
    """A view of the shell called `main` in the terminal app at `address`."""

    def __init__(self, visitor: Visitor, address: str) -> None:
        self.socket = visitor.connect(f"{address}/ws?rows=24&cols=120")
        self.text = ""
        self.opened: dict[str, Any] = {}
        self._read_until(lambda: bool(self.opened))

    def run(self, command: str) -> str:
        """What it printed, once it has ended."""
        mark = uuid.uuid4().hex
        begin, end = f"<{mark}", f"{mark}>"
        # As they are typed the marks do not look as they are printed.
        typed = f"echo '<'{mark}; {command}; echo {mark}'>'\r"
        self.socket.send(_TYPED + typed.encode())
        self.await_text(end)
        return self.text.partition(begin)[2].partition(end)[0].strip()

    def await_text(self, text: str) -> None:
        self._read_until(lambda: text in self.text)

    def _read_until(self, check: Callable[[], bool]) -> None:
        while not check():
            frame = self.socket.receive()
            assert isinstance(frame, bytes)
            if frame[:1] == _TYPED:
                self.text += frame[1:].decode("utf-8", "replace")
            elif (event := json.loads(frame[1:])).get("event") == "opened":
                self.opened = event


class Notebook:
    """A Python kernel of the Jupyter server at `address`: a new one, or the one of that id."""

    def __init__(self, visitor: Visitor, address: str, kernel: str = "") -> None:
        self._visitor = visitor
        self.address = address
        self.kernel = kernel or self._begin()
        where = f"{address}/api/kernels/{self.kernel}/channels?session_id={uuid.uuid4().hex}"
        self.socket = visitor.connect(where)

    def run(self, code: str) -> str:
        """What a cell printed, once it was computed."""
        asked = uuid.uuid4().hex
        self.socket.send(json.dumps(_execute_request(asked, code)))
        printed = ""
        while True:
            message = json.loads(self.socket.receive())
            if message["parent_header"].get("msg_id") != asked:
                continue
            content = message["content"]
            if message["msg_type"] == "stream":
                printed += content["text"]
            elif content.get("execution_state") == "idle":
                return printed

    def list_kernels(self) -> list[str]:
        answer = self._visitor.ask("GET", f"{self.address}/api/kernels")
        if answer.status >= 500:
            raise ConnectionError(f"{answer.status}: {answer.body!r:.300}")
        assert answer.status == 200, answer
        return [str(one["id"]) for one in answer.json()]

    def _begin(self) -> str:
        # The page has the cookie that has to be shown with each request that changes something.
        assert self._visitor.ask("GET", f"{self.address}/lab").status == 200
        given = self._visitor.cookie("_xsrf", self.address)
        made = self._visitor.ask("POST", f"{self.address}/api/kernels", {}, X_XSRFToken=given)
        assert made.status == 201, made
        return str(made.json()["id"])


def _execute_request(message_id: str, code: str) -> dict[str, Any]:
    header = {
        "msg_id": message_id,
        "msg_type": "execute_request",
        "username": "",
        "session": message_id,
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    return {
        "channel": "shell",
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "buffers": [],
    }


async def _open_session(
    connect: Callable[[], aiohttp.BaseConnector],
) -> aiohttp.ClientSession:
    # Addresses have no names here, and cookies are of hosts and not of ports.
    return aiohttp.ClientSession(connector=connect(), cookie_jar=aiohttp.CookieJar(unsafe=True))


@contextmanager
def _as_away() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ConnectionError(repr(error)) from error
