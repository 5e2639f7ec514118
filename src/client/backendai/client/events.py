"""Server-sent events: a pure parser of lines, and a stream that outlives its connections."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import msgspec

from backendai.client.channel import Call, Channel, decode
from backendai.client.faults import ConnectionLost, Unreachable
from backendai.client.results import Scope, SessionEvent

CLOSING_EVENT: Final = "server_close"
RECONNECT_SECONDS: Final = 5.0
SESSION_ID_CHARS: Final = 36


@dataclass(frozen=True, slots=True)
class Message:
    """One event of a stream: its name, and its data lines joined by line feeds."""

    event: str
    data: str


class MessageParser:
    """Feed it lines without their ends; it gives a message at each blank line that ends one.

    `retry_seconds` is the pause that the server last asked for, or the default; `last_id` is the id
    of the last finished message that had one.
    """

    def __init__(self) -> None:
        self.retry_seconds = RECONNECT_SECONDS
        self.last_id = ""
        self._id = ""
        self._event = ""
        self._data: list[str] = []

    def feed(self, line: str) -> Message | None:
        if line == "":
            return self._finish()
        name, _, value = line.partition(":")
        self._take(name, value.removeprefix(" "))
        return None

    def _take(self, name: str, value: str) -> None:
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        elif name == "retry" and value.isdigit():
            self.retry_seconds = float(value)

    def _finish(self) -> Message | None:
        event, data = self._event, self._data
        self._event, self._data = "", []
        self.last_id = self._id
        return Message(event or "message", "\n".join(data)) if event or data else None


async def follow_messages(
    channel: Channel, make_call: Callable[[str], Call]
) -> AsyncGenerator[Message, None]:
    """The messages of a stream. `make_call` takes the id of the last message, to go on after it.

    Reconnects for ever; only a refusal or `server_close` ends it.
    """
    parser = MessageParser()
    was_open = False
    while True:
        try:
            async with channel.lines(make_call(parser.last_id)) as lines:
                was_open = True
                async for line in lines:
                    message = parser.feed(line)
                    if message is None:
                        continue
                    if message.event == CLOSING_EVENT:
                        return
                    yield message
        except (ConnectionLost, Unreachable):
            if not was_open:
                raise
        await channel.clock.sleep(parser.retry_seconds)


async def follow_events(
    channel: Channel, session: str, scope: Scope
) -> AsyncGenerator[SessionEvent, None]:
    """Events of one session, going on where it was after a reconnection."""
    messages = follow_messages(channel, lambda last_id: _call(session, scope, last_id))
    async with aclosing(messages):
        async for message in messages:
            yield read_event(message)


def read_event(message: Message) -> SessionEvent:
    event = decode(SessionEvent, (message.data or "{}").encode())
    return msgspec.structs.replace(event, name=message.event)


def _call(session: str, scope: Scope, last_id: str) -> Call:
    return Call(
        method="GET",
        path="/events/session",
        query={_subject(session): session, "scope": scope},
        headers={"Last-Event-ID": last_id} if last_id else {},
        content_type="",
        timeout_seconds=None,
    )


def _subject(session: str) -> str:
    is_id = len(session) == SESSION_ID_CHARS and session.count("-") == 4
    return "sessionId" if is_id else "sessionName"
