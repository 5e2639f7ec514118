"""Lists of users and keypairs come in pages, to their end."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from backendai.client.accounts.keypairs import Keypairs
from backendai.client.accounts.users import Users
from backendai.client.channel import Channel
from backendai.client.config import Config
from backendai.client.transport import Answer, Request

COUNT = 1205


class PagedTransport:
    """A server that gives no more than 100 rows at once."""

    def __init__(self, root: str, rows: list[dict[str, Any]]) -> None:
        self.root, self.rows, self.shrinks = root, rows, False
        self.asked: list[Mapping[str, Any]] = []

    async def send(self, request: Request) -> Answer:
        body = msgspec.json.decode(request.body)
        assert f"{{ {self.root}(" in body["query"]
        self.asked.append(body["variables"])
        first, limit = body["variables"]["offset"], body["variables"]["limit"]
        assert 1 <= limit <= 100
        page = {"items": self.rows[first : first + limit], "total_count": len(self.rows)}
        self.rows = [] if self.shrinks else self.rows
        return Answer(200, body=msgspec.json.encode({"data": {self.root: page}}))

    async def close(self) -> None:
        self.rows = []


def open_pages(root: str, rows: list[dict[str, Any]]) -> tuple[Channel, PagedTransport]:
    transport = PagedTransport(root, rows)
    return Channel(Config(("http://h",), "AK", "s"), transport), transport


USERS = [{"id": str(n), "email": f"{n}@x.org", "domain_name": "lab"} for n in range(COUNT)]
KEYPAIRS = [{"access_key": str(n), "user_id": "a@x.org", "user": "1"} for n in range(COUNT)]


async def test_all_users_are_listed() -> None:
    channel, transport = open_pages("user_list", USERS)
    found = await Users(channel).list(domain="lab", filter='role == "admin"')
    assert [user.id for user in found] == [row["id"] for row in USERS]
    assert len(transport.asked) == 13
    assert transport.asked[-1] == {
        "limit": 100,
        "offset": 1200,
        "domain_name": "lab",
        "filter": 'role == "admin"',
        "order": "created_at",
    }


async def test_all_keypairs_are_listed() -> None:
    channel, transport = open_pages("keypair_list", KEYPAIRS)
    found = await Keypairs(channel).list(order="-last_used")
    assert [key.access_key for key in found] == [row["access_key"] for row in KEYPAIRS]
    assert {asked["order"] for asked in transport.asked} == {"-last_used"}


@pytest.mark.parametrize(("limit", "pages"), [(1, [1]), (100, [100]), (130, [100, 30])])
async def test_no_more_is_asked_for_than_is_wanted(limit: int, pages: list[int]) -> None:
    channel, transport = open_pages("user_list", USERS)
    assert len(await Users(channel).list(limit=limit)) == limit
    assert [asked["limit"] for asked in transport.asked] == pages


async def test_rows_that_go_meanwhile_end_the_list() -> None:
    channel, transport = open_pages("user_list", USERS[:150])
    transport.shrinks = True
    assert len(await Users(channel).list()) == 100
