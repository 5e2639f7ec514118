"""A person's data: sent into a folder, used in a session, fetched again, kept from being purged."""

import urllib.request
import uuid
from collections.abc import Iterator

import pytest

from tests.running.rest import Api
from tests.running.stack import Stack
from tests.running.waiting import until


@pytest.fixture
def folder(api: Api) -> Iterator[str]:
    name = f"data-{uuid.uuid4().hex[:8]}"
    made = api.ask("POST", "/folders", {"name": name, "host": None})
    assert made.status == 201, made.body
    yield name
    api.ask("DELETE", f"/folders/{name}")
    api.ask("POST", "/folders/purge", {"id": made.json()["id"]})


def send(api: Api, folder: str, path: str, data: bytes) -> None:
    """In two requests, as a client that was cut in the middle does."""
    asked = api.ask(
        "POST", f"/folders/{folder}/request-upload", {"path": path, "size": len(data)}
    ).json()
    middle = len(data) // 2
    for begin, end in ((0, middle), (middle, len(data))):
        request = urllib.request.Request(
            f"{asked['url']}?token={asked['token']}", data[begin:end], method="PATCH"
        )
        request.add_header("Tus-Resumable", "1.0.0")
        request.add_header("Upload-Offset", str(begin))
        request.add_header("Content-Type", "application/offset+octet-stream")
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 204
            assert answer.headers["Upload-Offset"] == str(end)


def fetch(api: Api, folder: str, path: str) -> bytes:
    asked = api.ask("POST", f"/folders/{folder}/request-download", {"path": path}).json()
    with urllib.request.urlopen(f"{asked['url']}?token={asked['token']}") as answer:
        return bytes(answer.read())


def test_what_was_sent_is_in_the_session_and_what_it_writes_is_fetched(
    stack: Stack, api: Api, folder: str
) -> None:
    send(api, folder, "in/numbers.txt", b"1\n2\n39\n")
    stack.ok("session", "create", "--name", "demo", "--mount", folder)
    code = (
        f"import os; os.chdir('/home/work/{folder}');"
        " total = sum(map(int, open('in/numbers.txt')));"
        " print(total, file=open('total.txt', 'w'))"
    )
    stack.ok("session", "exec", "demo", "-c", code)
    assert fetch(api, folder, "total.txt") == b"42\n"


def test_a_folder_that_is_mounted_read_only_cannot_be_written(
    stack: Stack, api: Api, folder: str
) -> None:
    send(api, folder, "kept.txt", b"kept")
    stack.ok("session", "create", "--name", "demo", "--mount", f"{folder}:data:ro")
    code = "print(open('/home/work/data/kept.txt').read()); open('/home/work/data/new', 'w')"
    done = stack.cli("session", "exec", "demo", "-c", code)
    assert done.code != 0
    assert "kept" in done.both
    assert "Read-only file system" in done.both
    removed = stack.cli("session", "exec", "demo", "--", "rm", "/home/work/data/kept.txt")
    assert removed.code != 0
    assert fetch(api, folder, "kept.txt") == b"kept"


def test_a_folder_is_not_purged_while_a_session_lives_on_it(
    stack: Stack, api: Api, folder: str
) -> None:
    folder_id = api.ask("GET", f"/folders/{folder}").json()["id"]
    stack.ok("session", "create", "--name", "demo", "--mount", folder)
    assert api.ask("DELETE", f"/folders/{folder}").status == 204
    refused = api.ask("POST", "/folders/purge", {"id": folder_id})
    assert refused.status == 409
    assert "demo" in refused.json()["msg"]
    stack.ok("session", "terminate", "demo")
    until(lambda: api.ask("POST", "/folders/purge", {"id": folder_id}).status < 300, "it is let go")
    until(lambda: api.ask("GET", f"/folders/{folder_id}").status == 404, "it is gone")
