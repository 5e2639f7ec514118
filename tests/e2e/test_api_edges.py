"""Every route of sessions refuses strangers: no credential, a wrong one, an old one, another's."""

import base64
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from backendai.manager.inventory import declared_routes
from tests.running.rest import NO_BODY, Answer, Api
from tests.running.sessions import end_all, find, resources, start
from tests.running.stack import Stack


@dataclass(frozen=True)
class Edge:
    """A request; `{session}` in the target is replaced. `is_of_one` routes name one session."""

    method: str
    target: str
    body: Any = NO_BODY
    is_of_one: bool = True
    is_socket: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


def one(method: str, tail: str = "", body: Any = NO_BODY) -> Edge:
    return Edge(method, "/session/{session}" + tail, body)


_COMPLETE: Final = {"code": "pri", "options": {"row": 0, "col": 3, "line": "pri", "post": ""}}
EDGES: Final = (
    one("GET"),
    one("PATCH"),
    one("DELETE"),
    one("DELETE", "?forced=true"),
    one("POST", "", {"mode": "query", "code": "print(1)", "runId": None}),
    one("GET", "/logs"),
    one("GET", "/why"),
    one("GET", "/status-history"),
    one("GET", "/status-history?full=1"),
    one("GET", "/dependency-graph"),
    one("GET", "/abusing-report"),
    one("POST", "/rename?name=stolen"),
    one("POST", "/interrupt"),
    one("POST", "/extend"),
    one("POST", "/complete", _COMPLETE),
    one("POST", "/upload"),
    one("GET", "/files", {"path": "."}),
    one("GET", "/download", {"files": ["x"]}),
    one("POST", "/download", {"files": ["x"]}),
    one("GET", "/download_single?file=x"),
    one("POST", "/download_single", {"file": "x"}),
    one("GET", "/direct-access-info"),
    one("GET", "/commit"),
    one("POST", "/commit", {"image_name": "stolen"}),
    one("POST", "/imagify?image_name=stolen"),
    one("POST", "/start-service", {"app": "sshd"}),
    one("POST", "/shutdown-service", {"service_name": "sshd"}),
    one("DELETE", "/circuits"),
    Edge("GET", "/stream/session/{session}/apps"),
    Edge("GET", "/stream/session/{session}/tcpproxy?app=sshd", is_socket=True),
    Edge("GET", "/stream/session/{session}/httpproxy?app=sshd", is_socket=True),
    Edge("GET", "/stream/session/{session}/pty", is_socket=True),
    Edge("GET", "/stream/session/{session}/execute", is_socket=True),
    Edge("GET", "/events/session?sessionId={session}&scope=*"),
    Edge("POST", "/session", {"name": "stranger", "image": "x"}, is_of_one=False),
    Edge("POST", "/session/_/create", {"name": "stranger", "image": "x"}, is_of_one=False),
    Edge("GET", "/session/_/match?id=a", is_of_one=False),
    Edge("POST", "/admin/gql", {"query": "{ keypair { user_id } }"}, is_of_one=False),
    Edge("POST", "/admin/graphql", {"query": "{ keypair { user_id } }"}, is_of_one=False),
    Edge("GET", "/auth", is_of_one=False),
    Edge("POST", "/auth", {"echo": "x"}, is_of_one=False),
    Edge("GET", "/auth/test", is_of_one=False),
    Edge("POST", "/auth/test", {"echo": "x"}, is_of_one=False),
    Edge("GET", "/auth/role", is_of_one=False),
)
OF_ONE: Final = tuple(edge for edge in EDGES if edge.is_of_one)
_UPGRADE: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
}


def test_no_route_of_a_session_is_missing_here() -> None:
    """Whoever adds a route that names a session adds it above, too; the matrix has all others."""
    declared = {
        (route.method, route.path) for route in declared_routes() if "{session}" in route.path
    }
    tried = {(edge.method, edge.target.partition("?")[0]) for edge in EDGES}
    assert len(declared) > 20
    assert declared - tried == set()


def knock(api: Api, edge: Edge, session: str) -> Answer:
    target = edge.target.format(session=session)
    if edge.is_socket or target.startswith("/events/"):
        more = _UPGRADE if edge.is_socket else {}
        return api.send(edge.method, target, b"", "application/octet-stream", **more)
    if target.endswith("/upload"):
        form = (
            b'--b\r\nContent-Disposition: form-data; name="src"; filename="x"\r\n\r\n1\r\n--b--\r\n'
        )
        return api.send(edge.method, target, form, "multipart/form-data; boundary=b")
    return api.ask(edge.method, target, edge.body)


@pytest.fixture(scope="module")
def owned(shared_stack: Stack) -> Iterator[str]:
    """The administrator's session, which the user knows the id of."""
    admin = shared_stack.api("admin")
    yield start(admin, "not-yours", kind="busybox", config=resources(cpu="0.1", mem="64m"))
    end_all(admin)


def assert_refused(answer: Answer, *statuses: int) -> None:
    assert answer.status in statuses, answer
    problem = json.loads(answer.body)
    assert problem["type"].startswith("https://api.backend.ai/probs/"), problem
    assert problem["title"], problem


@pytest.mark.parametrize("edge", EDGES, ids=str)
def test_without_a_credential(shared_stack: Stack, owned: str, edge: Edge) -> None:
    anonymous = Api(shared_stack.api().endpoint)
    answer = knock(anonymous, edge, owned)
    assert_refused(answer, 401)
    assert answer.problem == "auth-failed"


@pytest.mark.parametrize("edge", EDGES, ids=str)
def test_with_a_wrong_signature(shared_stack: Stack, owned: str, edge: Edge) -> None:
    forger = replace(shared_stack.api("admin"), secret_key=secrets.token_urlsafe(30))
    answer = knock(forger, edge, owned)
    assert_refused(answer, 401)
    assert answer.problem == "auth-failed"


@pytest.mark.parametrize("edge", EDGES, ids=str)
def test_with_an_unknown_access_key(shared_stack: Stack, owned: str, edge: Edge) -> None:
    unknown = replace(shared_stack.api(), access_key="AKIANOSUCHKEY0000000")
    assert_refused(knock(unknown, edge, owned), 401)


@pytest.mark.parametrize("edge", EDGES, ids=str)
@pytest.mark.parametrize("minutes", [-16, 16], ids=["old", "future"])
def test_with_an_expired_date(shared_stack: Stack, owned: str, edge: Edge, minutes: int) -> None:
    late = replace(shared_stack.api("admin"), date=datetime.now(UTC) + timedelta(minutes=minutes))
    answer = knock(late, edge, owned)
    assert_refused(answer, 400, 401)
    assert answer.problem in ("invalid-auth-params", "auth-failed")


@pytest.mark.parametrize("edge", OF_ONE, ids=str)
def test_with_anothers_session(shared_stack: Stack, owned: str, edge: Edge) -> None:
    """It is not there for others: to say "forbidden" would tell that it exists."""
    assert_refused(knock(shared_stack.api(), edge, owned), 404)


@pytest.mark.parametrize("edge", OF_ONE, ids=str)
def test_with_anothers_session_by_name(shared_stack: Stack, owned: str, edge: Edge) -> None:
    target = edge.target.replace("sessionId=", "sessionName=")
    by_name = replace(edge, target=target)
    assert_refused(knock(shared_stack.api(), by_name, "not-yours"), 404)


@pytest.mark.parametrize("edge", OF_ONE, ids=str)
def test_with_a_session_that_never_was(shared_stack: Stack, owned: str, edge: Edge) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    assert_refused(knock(shared_stack.api(), edge, nobody), 404)


def test_an_owner_key_of_somebody_else_is_refused(shared_stack: Stack, owned: str) -> None:
    key = shared_stack.credentials("admin")["BACKEND_ACCESS_KEY"]
    answer = shared_stack.api().ask("GET", f"/session/{owned}?owner_access_key={key}")
    assert_refused(answer, 403, 404)


def test_a_list_shows_only_ones_own(shared_stack: Stack, owned: str) -> None:
    query = (
        "query($key: String) { compute_session_list(limit: 100, offset: 0, access_key: $key)"
        " { items { id } total_count } }"
    )
    key = shared_stack.credentials("admin")["BACKEND_ACCESS_KEY"]
    for access_key in (None, key):
        body = {"query": query, "variables": {"key": access_key}}
        answer = shared_stack.api().ask("POST", "/admin/gql", body)
        assert owned not in answer.body.decode(), answer


def test_one_object_of_somebody_else_is_not_shown(shared_stack: Stack, owned: str) -> None:
    query = "query($id: UUID!) { compute_session(id: $id) { id name } }"
    body = {"query": query, "variables": {"id": owned}}
    answer = shared_stack.api().ask("POST", "/admin/gql", body)
    assert "not-yours" not in answer.body.decode(), answer


def test_it_was_none_the_worse_for_all_of_this(shared_stack: Stack, owned: str) -> None:
    facts = find(shared_stack.api("admin"), owned)
    assert (facts["name"], facts["status"]) == ("not-yours", "RUNNING")


@pytest.mark.parametrize(
    "target", ["/nosuch", "/session/a/nosuch", "/../etc/passwd", "/session/%2e%2e", "//session/x"]
)
def test_an_unknown_path_is_told_as_such(shared_stack: Stack, target: str) -> None:
    answer = shared_stack.api().ask("GET", target)
    assert_refused(answer, 404)


def test_a_method_that_is_not_offered(shared_stack: Stack, owned: str) -> None:
    answer = shared_stack.api().ask("PUT", f"/session/{owned}", {})
    assert_refused(answer, 405)
    assert answer.problem == "method-not-allowed"


def test_hello_is_open_and_every_answer_says_what_is_left(shared_stack: Stack) -> None:
    hello = Api(shared_stack.api().endpoint).ask("GET", "/")
    assert hello.status == 200
    assert hello.json()["version"].startswith("v")
    answer = shared_stack.api().ask("GET", "/session/nosuch-name")
    assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-window"} <= set(
        answer.headers
    )
