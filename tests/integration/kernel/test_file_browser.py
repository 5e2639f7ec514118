"""The file browser of the home, as its page uses it and as others may not."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from .conftest import ADDRESS, Kernel, open_web


@pytest.fixture
async def browser(kernel: Kernel) -> AsyncIterator[aiohttp.ClientSession]:
    async with open_web(kernel, "files") as session:
        yield session


async def ask(browser: aiohttp.ClientSession, method: str, what: str, **values: str) -> int:
    async with browser.request(method, f"/api/{what}", params=values) as answer:
        await answer.json()
        return answer.status


async def list_names(browser: aiohttp.ClientSession, path: str = "") -> list[str]:
    async with browser.get("/api/list", params={"path": path}) as answer:
        assert answer.status == 200
        return [entry["name"] for entry in (await answer.json())["entries"]]


async def test_a_file_goes_up_and_down_and_away(
    kernel: Kernel, browser: aiohttp.ClientSession
) -> None:
    data = bytes(range(256)) * 4000
    assert await ask(browser, "POST", "folder", path="data") == 201
    async with browser.put("/api/file", params={"path": "data/ä b.bin"}, data=data) as answer:
        assert answer.status == 201
    assert (kernel.work_dir / "data" / "ä b.bin").read_bytes() == data
    async with browser.get("/api/file", params={"path": "data/ä b.bin"}) as answer:
        assert await answer.read() == data
        assert (
            answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''%C3%A4%20b%2Ebin"
        )
        assert answer.headers["Content-Security-Policy"].startswith("sandbox")
        assert answer.content_type == "application/octet-stream"
    assert await ask(browser, "POST", "move", path="data/ä b.bin", to="c") == 200
    assert await list_names(browser) == ["data", "c"]
    assert await ask(browser, "DELETE", "file", path="data") == 200
    assert await ask(browser, "DELETE", "file", path="c") == 200
    assert await list_names(browser) == []


async def test_links_are_shown_and_only_the_link_is_deleted(
    kernel: Kernel, browser: aiohttp.ClientSession
) -> None:
    (kernel.work_dir / "real").mkdir()
    (kernel.work_dir / "real" / "file").write_text("kept")
    (kernel.work_dir / "link").symlink_to("real")
    (kernel.work_dir / "nowhere").symlink_to("missing")
    async with browser.get("/api/list") as answer:
        entries = {entry["name"]: entry for entry in (await answer.json())["entries"]}
    assert (entries["link"]["kind"], entries["link"]["is_link"]) == ("folder", True)
    assert entries["nowhere"]["kind"] == "other"
    assert await ask(browser, "DELETE", "file", path="link") == 200
    assert await ask(browser, "DELETE", "file", path="nowhere") == 200
    assert await list_names(browser, "real") == ["file"]


async def test_what_cannot_be_done_is_said(kernel: Kernel, browser: aiohttp.ClientSession) -> None:
    (kernel.work_dir / "there").write_text("there")
    (kernel.work_dir / "other").write_text("other")
    for method, what, values, status in (
        ("GET", "list", {"path": "../"}, 400),
        ("GET", "list", {"path": "missing"}, 404),
        ("GET", "list", {"path": "there"}, 409),
        ("GET", "file", {"path": "../secret"}, 400),
        ("GET", "file", {"path": "a/\0"}, 400),
        ("GET", "file", {"path": ""}, 404),
        ("DELETE", "file", {"path": ""}, 400),
        ("DELETE", "file", {"path": "./"}, 400),
        ("DELETE", "file", {"path": "missing"}, 404),
        ("POST", "folder", {"path": "there"}, 409),
        ("POST", "move", {"path": "there", "to": ""}, 400),
        ("POST", "move", {"path": "there", "to": "../out"}, 400),
        ("POST", "move", {"path": "there", "to": "other"}, 409),
        ("PUT", "file", {"path": "missing/file"}, 404),
    ):
        assert await ask(browser, method, what, **values) == status, (method, what, values)
    assert (await list_names(browser))[-2:] == ["other", "there"]


async def test_another_site_does_nothing_here(browser: aiohttp.ClientSession) -> None:
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        for method, what in (("GET", "list"), ("PUT", "file"), ("POST", "folder")):
            address = f"/api/{what}?path=x"
            async with browser.request(method, address, headers=headers) as answer:
                assert answer.status == 403
    assert "x" not in await list_names(browser)
    own = {"Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"}
    async with browser.post("/api/folder?path=mine", headers=own) as answer:
        assert answer.status == 201


async def test_an_upload_that_breaks_off_leaves_what_was_there(
    kernel: Kernel, browser: aiohttp.ClientSession
) -> None:
    (kernel.work_dir / "file").write_text("before")

    async def break_off() -> AsyncIterator[bytes]:
        yield b"x" * 100_000
        raise ConnectionError

    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await browser.put("/api/file", params={"path": "file"}, data=break_off())

    assert (kernel.work_dir / "file").read_text() == "before"


async def test_the_page_is_served_with_a_strict_policy(browser: aiohttp.ClientSession) -> None:
    for path in ("/", "/files.js", "/files.css"):
        async with browser.get(path) as answer:
            assert answer.status == 200
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    async with browser.get("/terminal.html") as answer:
        assert answer.status == 404
