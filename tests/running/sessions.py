"""What a user does with sessions, said through the API: start, run code, look, end."""

from typing import Any, Final

from backendai.halfstack.images import BASE, BUSYBOX, PYTHON
from tests.running.rest import Api, new_session
from tests.running.waiting import until

IMAGES: Final = {"python": PYTHON.name, "base": BASE.name, "busybox": BUSYBOX.name}
ENDED: Final = ("TERMINATED", "CANCELLED")
LIVE: Final = (
    "PENDING,SCHEDULED,PULLING,PREPARING,RUNNING,RUNNING_DEGRADED,RESTARTING,TERMINATING,ERROR"
)
_FACTS: Final = "id name status status_info status_data result main_kernel_id"


def start(api: Api, name: str, *, kind: str = "python", **changes: Any) -> str:
    """The id of a session that runs. `changes` are keys of the request's body."""
    answer = api.ask("POST", "/session", new_session(name, IMAGES[kind], **changes))
    assert answer.status == 201, answer
    assert answer.json()["status"] == "RUNNING", answer
    return str(answer.json()["sessionId"])


def enqueue(api: Api, name: str, *, kind: str = "python", **changes: Any) -> str:
    """The id of a session that was put in the queue; nothing is waited for."""
    body = new_session(name, IMAGES[kind], enqueueOnly=True, **changes)
    answer = api.ask("POST", "/session", body)
    assert answer.status == 201, answer
    return str(answer.json()["sessionId"])


def batch(api: Api, name: str, command: str, *, kind: str = "python", **changes: Any) -> str:
    """The id of a queued batch session that runs `command`."""
    return enqueue(api, name, kind=kind, type="batch", startupCommand=command, **changes)


def resources(cpu: str = "1", mem: str = "128m", **more: Any) -> dict[str, Any]:
    """A `config` that asks for amounts."""
    slots = {"cpu": cpu, "mem": mem}
    return {"mounts": [], "environ": {}, "resources": slots, "resource_opts": {}, **more}


def find(api: Api, session: str) -> dict[str, Any]:
    """What the API says of a session, dead or alive."""
    query = f"query($id: UUID!) {{ compute_session(id: $id) {{ {_FACTS} }} }}"
    found = ask_graph(api, query, {"id": session})
    assert found["compute_session"] is not None, session
    return dict(found["compute_session"])


def list_live(api: Api) -> list[str]:
    """Ids of all sessions of the caller that have not ended."""
    query = (
        "query($limit: Int!, $offset: Int!, $status: String) {"
        " compute_session_list(limit: $limit, offset: $offset, status: $status)"
        " { items { id } total_count } }"
    )
    page = {"limit": 100, "offset": 0, "status": LIVE}
    return [row["id"] for row in ask_graph(api, query, page)["compute_session_list"]["items"]]


def ask_graph(api: Api, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """The `data` of a GraphQL answer; a 5xx is raised as ConnectionError, to be waited out."""
    answer = api.ask("POST", "/admin/gql", {"query": query, "variables": variables})
    if answer.status >= 500:
        raise ConnectionError(f"{answer.status}: {answer.body!r:.500}")
    assert answer.status == 200, answer
    found: dict[str, Any] = answer.json()
    assert not found.get("errors"), found
    return dict(found["data"])


def execute(api: Api, session: str, code: str) -> str:
    """What `code` printed in a session. Raises ConnectionError on a 5xx answer."""
    printed = ""
    step: dict[str, Any] = {"mode": "query", "code": code, "runId": None}
    while True:
        answer = api.ask("POST", f"/session/{session}", step)
        if answer.status >= 500:
            raise ConnectionError(f"{answer.status}: {answer.body!r:.500}")
        assert answer.status == 200, answer
        result = answer.json()["result"]
        printed += "".join(str(text) for _, text in result["console"] or ())
        if result["status"] == "finished":
            return printed
        step = {"mode": "continue", "code": "", "runId": result["runId"]}


def await_status(api: Api, session: str, *wanted: str, seconds: float = 60.0) -> dict[str, Any]:
    """The session's facts once it is in one of these statuses."""
    seen: list[dict[str, Any]] = []

    def look() -> bool:
        seen[:] = [find(api, session)]
        return seen[0]["status"] in wanted

    try:
        until(look, f"session {session} in {' or '.join(wanted)}", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {seen}") from None
    return seen[0]


def end(api: Api, session: str, *, forced: bool = False, seconds: float = 60.0) -> None:
    """Terminate, and wait until it has ended."""
    answer = api.ask("DELETE", f"/session/{session}{'?forced=true' if forced else ''}")
    assert answer.status in (200, 404), answer
    await_status(api, session, *ENDED, seconds=seconds)


def end_all(api: Api, seconds: float = 120.0) -> None:
    """Terminate whatever the caller has, and wait until it has ended."""
    for session in list_live(api):
        api.ask("DELETE", f"/session/{session}?forced=true")
    until(lambda: not list_live(api), "all sessions ended", seconds)


def history(api: Api, session: str) -> dict[str, str]:
    """Lower-case status -> ISO time when it was reached."""
    answer = api.ask("GET", f"/session/{session}/status-history")
    assert answer.status == 200, answer
    return dict(answer.json()["result"])


def logs(api: Api, session: str) -> str:
    answer = api.ask("GET", f"/session/{session}/logs")
    assert answer.status == 200, answer
    return str(answer.json()["result"]["logs"])
