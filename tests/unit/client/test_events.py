"""Server-sent events, line by line."""

from backendai.client.events import Message, MessageParser, read_event


def feed(text: str) -> tuple[list[Message], MessageParser]:
    parser = MessageParser()
    found = [parser.feed(line) for line in text.split("\n")]
    return [message for message in found if message is not None], parser


def test_a_blank_line_ends_a_message() -> None:
    found, _ = feed("event: session_started\ndata: {}\n\nevent:a\ndata:1\ndata: 2\n\n")
    assert found == [Message("session_started", "{}"), Message("a", "1\n2")]


def test_comments_blank_lines_and_unknown_keys_say_nothing() -> None:
    assert feed(": ping\n\n\nid: 3\n\n")[0] == []


def test_a_message_without_a_name_is_called_message() -> None:
    assert feed("data: x\n\n")[0] == [Message("message", "x")]


def test_a_message_is_nothing_before_it_ends() -> None:
    assert feed("event: a\ndata: 1")[0] == []


def test_the_id_of_the_last_finished_message_is_kept() -> None:
    assert feed("id: 3\ndata: x\n\nid: 4\ndata: y")[1].last_id == "3"
    assert feed("id: 3\ndata: x\n\ndata: y\n\n")[1].last_id == "3"


def test_the_server_sets_the_pause_in_seconds() -> None:
    assert feed("retry: 2\nretry: soon\n")[1].retry_seconds == 2.0


def test_an_event_keeps_what_the_wire_says() -> None:
    data = '{"sessionId": "i", "sessionName": "a", "reason": "task-done", "exitCode": 3, "more": 1}'
    event = read_event(Message("session_failure", data))
    assert (event.name, event.session_id, event.exit_code) == ("session_failure", "i", 3)
