"""Tickets and the words at the door: every single wrong one is refused."""

import base64
import hmac

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.common.tickets import (
    LINE_BYTES_MAX,
    OK_LINE,
    TICKET_CHARS_MAX,
    TICKET_LIFE_SECONDS,
    Refusal,
    RelayCode,
    Ticket,
    TicketRefused,
    decode_answer,
    decode_hello,
    derive_relay_key,
    encode_hello,
    encode_refusal,
    open_ticket,
    seal_ticket,
)

NOW = 1_800_000_000.0
SECRET = bytes(range(32))
KEY = derive_relay_key(SECRET, "i-node1")
OLDER = derive_relay_key(b"x" * 32, "i-node1")
TICKET = Ticket(
    agent="i-node1",
    kernel="7f9c24e8-3b12-4fef-91e0-3a7e0d1c2b3a",
    generation=3,
    app="jupyterlab",
    port=8888,
    expires=int(NOW) + TICKET_LIFE_SECONDS,
)


def test_a_sealed_ticket_opens_with_its_key_and_only_until_it_expires() -> None:
    text = seal_ticket(TICKET, KEY)
    assert open_ticket(text, [KEY], NOW) == TICKET
    assert open_ticket(text, [KEY], TICKET.expires - 0.001) == TICKET
    for late in (TICKET.expires, TICKET.expires + 1, TICKET.expires + 1e9):
        with pytest.raises(TicketRefused, match="expired"):
            open_ticket(text, [KEY], float(late))


def test_an_older_key_opens_while_it_is_kept() -> None:
    text = seal_ticket(TICKET, OLDER)
    assert open_ticket(text, [KEY, OLDER], NOW) == TICKET
    for keys in ([KEY], []):
        with pytest.raises(TicketRefused, match="not sealed for this relay"):
            open_ticket(text, keys, NOW)


def test_every_agent_and_every_secret_has_its_own_key() -> None:
    keys = {
        derive_relay_key(secret, agent)
        for secret in (SECRET, SECRET + b"\0", SECRET[::-1])
        for agent in ("i-node1", "i-node2", "i-node1 ", "i")
    }
    assert len(keys) == 12
    assert all(len(key) == 32 for key in keys)
    assert derive_relay_key(SECRET, "i-node1") == KEY


@pytest.mark.parametrize("secret", [b"", b"short", bytes(31)])
def test_a_short_secret_is_refused(secret: bytes) -> None:
    with pytest.raises(ValueError, match="32 are the least"):
        derive_relay_key(secret, "i-node1")


def test_no_changed_character_is_accepted() -> None:
    text = seal_ticket(TICKET, KEY)
    for place, character in enumerate(text):
        for other in {"A", "B", "_", "=", ".", "é", "\n"} - {character}:
            with pytest.raises(TicketRefused):
                open_ticket(text[:place] + other + text[place + 1 :], [KEY], NOW)


def test_no_cut_or_longer_text_is_accepted() -> None:
    text = seal_ticket(TICKET, KEY)
    for wrong in [text[:length] for length in range(len(text))] + [
        text + "A",
        text + ".",
        "." + text,
    ]:
        with pytest.raises(TicketRefused):
            open_ticket(wrong, [KEY], NOW)


@pytest.mark.parametrize("field", ["agent", "kernel", "generation", "app", "port", "expires"])
def test_a_payload_without_a_field_is_refused_even_when_sealed(field: str) -> None:
    values = msgspec.to_builtins(TICKET)
    del values[field]
    with pytest.raises(TicketRefused, match="no ticket"):
        open_ticket(_sealed(values), [KEY], NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"more": 1},
        {"port": -1},
        {"port": 65536},
        {"port": "8888"},
        {"generation": 0},
        {"generation": True},
        {"expires": 1e12},
        {"app": ""},
        {"app": "a b"},
        {"app": "../x"},
        {"app": "x" * 65},
        {"app": "x\n"},
        {"agent": ""},
        {"kernel": "k" * 65},
    ],
)
def test_values_out_of_bounds_are_refused_at_both_ends(changes: dict[str, object]) -> None:
    values = {**msgspec.to_builtins(TICKET), **changes}
    with pytest.raises(TicketRefused, match="no ticket"):
        open_ticket(_sealed(values), [KEY], NOW)
    if "more" not in changes:
        with pytest.raises(ValueError, match="not a ticket"):
            seal_ticket(Ticket(**values), KEY)


def test_the_longest_ticket_fits() -> None:
    ticket = Ticket(
        agent="a" * 64,
        kernel="k" * 64,
        generation=10**9,
        app="p" * 64,
        port=65535,
        expires=2**40,
    )
    text = seal_ticket(ticket, KEY)
    assert len(text) <= TICKET_CHARS_MAX
    assert len(encode_hello(text)) <= LINE_BYTES_MAX


@given(st.text(max_size=900))
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(TicketRefused):
        open_ticket(text, [KEY], NOW)


@given(st.binary(max_size=300))
def test_any_sealed_bytes_are_refused_and_nothing_else_happens(payload: bytes) -> None:
    with pytest.raises(TicketRefused):
        open_ticket(_seal(payload), [KEY], NOW)


def test_text_that_is_none_is_refused() -> None:
    with pytest.raises(TicketRefused):
        open_ticket(_seal(b"\x81\xac" + bytes(11) + b"\x80"), [KEY], NOW)


def test_a_million_brackets_end_no_relay() -> None:
    with pytest.raises(TicketRefused):
        open_ticket(_seal(b"\x91" * 500), [KEY], NOW)


def test_the_greeting_carries_the_ticket() -> None:
    line = encode_hello("abc.def")
    assert line == b"BAI1 abc.def\n"
    assert decode_hello(line[:-1]) == "abc.def"


@pytest.mark.parametrize(
    "line", [b"", b"BAI1", b"BAI2 x", b"GET / HTTP/1.1", b" BAI1 x", b"bai1 x", b"BAI1 \xff"]
)
def test_other_greetings_are_refused(line: bytes) -> None:
    with pytest.raises(TicketRefused):
        decode_hello(line)


@pytest.mark.parametrize("code", list(RelayCode))
@pytest.mark.parametrize("message", ["", "nobody listens on port 8888", "ünïcode"])
def test_a_refusal_is_read_as_it_was_said(code: RelayCode, message: str) -> None:
    line = encode_refusal(Refusal(code, message))
    assert line.endswith(b"\n")
    assert decode_answer(line[:-1]) == Refusal(code, message)


@pytest.mark.parametrize("message", ["a\nBAI1 ok\n", "x" * 5000, "\ud800", "é" * 5000, "\r\n\t "])
def test_a_refusal_is_one_short_line_whatever_it_says(message: str) -> None:
    line = encode_refusal(Refusal(RelayCode.FAILED, message))
    assert len(line) <= LINE_BYTES_MAX
    assert line.count(b"\n") == 1
    assert decode_answer(line[:-1]) is not None


def test_ok_is_no_refusal() -> None:
    assert decode_answer(OK_LINE[:-1]) is None


@pytest.mark.parametrize(
    "line",
    [b"", b"ok", b"BAI1", b"BAI1 ", b"BAI1 okay", b"BAI1 ok ", b"BAI1 no x", b"HTTP/1.1 400"],
)
def test_other_answers_are_errors(line: bytes) -> None:
    with pytest.raises(ValueError, match="not the answer of a relay"):
        decode_answer(line)


def _sealed(values: dict[str, object]) -> str:
    return _seal(msgspec.msgpack.encode(values))


def _seal(payload: bytes) -> str:
    """The form that is agreed upon, written once more."""
    body = base64.urlsafe_b64encode(payload).rstrip(b"=")
    seal = base64.urlsafe_b64encode(hmac.digest(KEY, body, "sha256")).rstrip(b"=")
    return f"{body.decode()}.{seal.decode()}"
