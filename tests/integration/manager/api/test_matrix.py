"""Who may do what to whom: every declared route and GraphQL root × roles × tenants.

The expectation is the declaration alone; a route or root that is added is covered by itself.
"""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple
from typing import Any, Final

import pytest

from backendai.manager.app import Manager
from backendai.manager.gate.actor import Access, Action
from backendai.manager.gate.routes import Route
from backendai.manager.inventory import declared_roots, declared_routes
from tests.contract.test_graph import OURS
from tests.integration.manager.api.asks import (
    PATH_KEYS,
    TENANT_KEYS,
    Ask,
    argument_sets,
    ask_of,
    document_of,
    path_keys,
    send,
    tenant_keys,
)
from tests.integration.manager.api.caller import Answer, Caller
from tests.integration.manager.api.conftest import body_of
from tests.integration.manager.api.tenants import (
    HIDDEN,
    MARK,
    Target,
    furnish,
    furnish_administration,
    leaks,
    settings,
    snapshot,
    tenants_key,
    words_of,
)

__all__ = ["settings"]

ANONYMOUS: Final = "anonymous"
# In this order: who may do everything comes last.
CALLERS: Final = {
    ANONYMOUS: None,
    "eve": "monitor",
    "alice": "user",
    "pia": "project admin",
    "carol": "admin",
    "root": "superadmin",
}
_RANKS: Final = {"monitor": 1, "user": 1, "project admin": 2, "admin": 3, "superadmin": 4}
# Folders tell apart what one knows of: administrators manage those of others without reading them,
# and make those of projects, which are for all members.
FOLDER_REFUSALS: Final = (
    b"they do not read or write them",
    b"Only administrators make folders of projects",
)
_NO_ID: Final = str(uuid.UUID(int=0))
# Names nothing that exists.
NOBODY: Final = Target(
    domain="nowhere",
    project=_NO_ID,
    email="nobody@example.com",
    access_key="AKNOBODY",
    user=_NO_ID,
    session=_NO_ID,
    kernel=_NO_ID,
    session_name="nothing",
    log=_NO_ID,
    template=_NO_ID,
    task=_NO_ID,
    folder=_NO_ID,
    invitation=_NO_ID,
    circuit=_NO_ID,
)
ROUTES: Final = declared_routes()
ROOTS: Final = declared_roots()


def is_let_in(role: str | None, action: Action) -> bool:
    """What the declaration says of a role, written once more."""
    if action.access is Access.OPEN:
        return True
    if role is None or (role == "monitor" and action.writes):
        return False
    return _RANKS[role] >= action.access


@pytest.fixture
async def tenants(
    manager: Manager, as_user: Callable[[str], Caller], name: str
) -> tuple[Target, Target]:
    """What alice has, and what a user of the closed tenant has."""
    alice = as_user("alice")
    zoe = tenants_key(alice, "zoe")
    theirs = await furnish(manager, zoe, f"zoe{MARK}", session=f"crown{MARK}-{name}")
    await furnish_administration(tenants_key(alice, "yuri"), theirs)
    return await furnish(manager, alice, "alice", session=f"own-{name}"), theirs


@pytest.fixture
async def mates(manager: Manager, as_user: Callable[[str], Caller], name: str) -> Target:
    """What somebody has in the project that pia administers."""
    pawn = as_user("pawn")
    mates = await furnish(manager, pawn, "pawn", session=f"mate-{name}", project="pawns")
    # Pages that are asked for begin with the second one.
    newer = body_of(f"newer-{name}", enqueueOnly=True, group="pawns")
    assert (await pawn.ask("POST", "/session", newer)).status == 201
    return mates


def callers(as_user: Callable[[str], Caller]) -> list[tuple[str, str | None, Caller]]:
    alice = as_user("alice")
    return [
        (name, role, as_user(name) if role else alice.but(access_key=None))
        for name, role in CALLERS.items()
    ]


def reaches(name: str, role: str | None, target: Target, key: str, action: Action) -> bool:
    """Whether a caller of the default domain may reach what `key` names of a target by `action`."""
    if role == "superadmin":
        return True
    if target.domain != "default":
        return False
    if role == "project admin":
        if TENANT_KEYS.get(key) == "domain":
            return True
        is_shared = key == "template_id" or TENANT_KEYS.get(key) == "project"
        is_seen = is_shared or (key == "session" and action.in_projects)
        return is_seen and target.access_key == "AKPAWN"
    # Templates are for the members of their project.
    is_shared = key == "template_id" or TENANT_KEYS.get(key) in ("domain", "project")
    return is_shared or role == "admin" or target.access_key == f"AK{name.upper()}"


def asks_about(route: Route, target: Target) -> list[Ask]:
    """The object in the path alone, and with each key that says whose it is."""
    in_path = [key for key in path_keys(route) if key in PATH_KEYS]
    keys = tenant_keys(route)
    made = [] if keys and not in_path else [ask_of(route, target, *in_path)]
    return made + [ask_of(route, target, *in_path, key) for key in keys]


def told_of(role: str | None, ask: Ask, answer: Answer, theirs: Target) -> list[str]:
    """Words of the closed tenant that an answer tells to who may not know them."""
    return [] if role == "superadmin" else leaks(answer.body, ask.text, words_of(theirs))


def told_of_others(
    role: str | None, ask: Ask, answer: Answer, action: Action, own: Target, mates: Target
) -> list[str]:
    """What an answer tells a project admin of other projects of the domain, and by what is not
    declared for it, of people in its own."""
    if role != "project admin":
        return []
    things = {mates.session, mates.kernel, mates.log, mates.task}
    return leaks(answer.body, ask.text, words_of(own)) + (
        [] if action.in_projects else leaks(answer.body, ask.text, things)
    )


def judge_refused(answer: Answer) -> str | None:
    is_refused = answer.status == 401 and b"Unauthorized access" in answer.body
    return None if is_refused else f"expected 401, not {answer.status}"


def judge_reached(answer: Answer, ask: Ask) -> str | None:
    """Let in by the role, and by the tenant where one is named. The rest is the handler's."""
    is_refused = answer.status == 401 and b"Unauthorized access" in answer.body
    is_of_folders = any(words in answer.body for words in FOLDER_REFUSALS)
    if is_refused or (answer.status == 403 and ask.named and not is_of_folders):
        return f"refused with {answer.status}"
    return None


def judge_unreached(answer: Answer, ask: Ask) -> str | None:
    """A borrowed key is forbidden, the same for unknown ones; what is not one's own is not there.

    Lists that are narrowed to nothing are an answer too; what they hold is looked at elsewhere.
    So is 400, which tells nothing; but whoever calls sees to it that there are few of them.
    """
    if answer.status == 400:
        return None
    if any(TENANT_KEYS.get(key) == "access_key" for key in ask.named):
        return None if answer.status == 403 else f"expected 403, not {answer.status}"
    if ask.named & PATH_KEYS.keys():
        return None if answer.status == 404 else f"expected 404, not {answer.status}"
    return None if answer.status in (200, 403, 404) else f"expected 404, not {answer.status}"


def judge(
    caller: tuple[str, str | None], route: Route, target: Target, ask: Ask, answer: Answer
) -> str | None:
    name, role = caller
    if answer.status == 500:
        return "broke"
    if not is_let_in(role, route.action):
        return judge_refused(answer)
    if route.action.access is Access.OPEN:
        return None
    if all(reaches(name, role, target, key, route.action) for key in ask.named):
        is_mates = role == "project admin" and "template_id" in ask.named
        if is_mates and route.action.writes:
            # Members see each other's templates, and only their owners change them.
            return None if answer.status in (400, 403, 404) else f"not {answer.status}"
        return judge_reached(answer, ask)
    return judge_unreached(answer, ask)


async def test_every_route_lets_in_whom_it_declares(
    manager: Manager,
    as_user: Callable[[str], Caller],
    tenants: tuple[Target, Target],
    mates: Target,
) -> None:
    wrong, statuses, answered = [], Counter[int](), set()
    before = await snapshot(manager.stores.database)
    for name, role, caller in callers(as_user):
        if role == "superadmin":
            assert await snapshot(manager.stores.database) == before
        for route, target, ask in cells_of(role, tenants, mates):
            answer = await send(caller, ask)
            statuses[answer.status] += 1
            if answer.status < 300:
                answered.add((route.method, route.path))
            problem = judge((name, role), route, target, ask, answer)
            told = told_of(role, ask, answer, tenants[1])
            told += told_of_others(role, ask, answer, route.action, tenants[0], mates)
            if problem or told:
                wrong.append((name, ask, problem, told, answer.body[:200]))
    print(f"{statuses.total()} cells of {len(ROUTES)} routes: {dict(statuses)}")
    assert not wrong, "\n".join(map(str, wrong))
    # Requests that nobody understands would prove nothing: give them sound values in EXAMPLES.
    assert len(answered) > len(ROUTES) / 2
    assert statuses[400] < statuses.total() / 5


def cells_of(
    role: str | None, tenants: tuple[Target, Target], mates: Target
) -> Iterator[tuple[Route, Target, Ask]]:
    """What ends something comes last, so that there is something to look at before.

    Who is not let in is refused before anything is read, so there one request says it all.
    """
    for route in sorted(ROUTES, key=lambda route: route.method in ("DELETE", "PATCH")):
        if not is_let_in(role, route.action):
            yield route, tenants[1], asks_about(route, tenants[1])[-1]
            continue
        for target in targets_of(role, tenants, mates):
            # Spellings of one key are one check, so one caller tries them all.
            for ask in asks_about(route, target)[: None if role == "user" else 2]:
                # What names nobody's things is asked once.
                if ask.named or target is targets_of(role, tenants, mates)[0]:
                    yield route, target, ask


async def test_every_query_shows_only_what_is_the_callers(
    as_user: Callable[[str], Caller], tenants: tuple[Target, Target], mates: Target
) -> None:
    wrong, seen, seen_by_admin = [], set(), set()
    for name, role, caller in callers(as_user):
        for root, action in ROOTS["Query"].items():
            for target in targets_of(role, tenants, mates):
                for values in argument_sets(root, OURS.query_type.fields[root], target):
                    ask = Ask("POST", "/admin/gql", document_of(OURS, "Query", (root, values)))
                    answer = await send(caller, ask)
                    if role is None:
                        problem = judge_refused(answer)
                    else:
                        problem = judge_query(role, root, action, answer)
                    if role == "superadmin" and HIDDEN.encode() in answer.body:
                        seen.add(root)
                    if role == "project admin" and mates.session.encode() in answer.body:
                        seen_by_admin.add(root)
                    told = told_of(role, ask, answer, tenants[1])
                    told += told_of_others(role, ask, answer, action, tenants[0], mates)
                    if problem or told:
                        wrong.append((name, ask, problem, told, answer.body[:300]))
    assert not wrong, "\n".join(map(str, wrong))
    # Who may see everything does, so that the others' empty answers mean something.
    assert seen >= {"users", "keypairs", "domains", "groups", "compute_session_list"}
    assert seen_by_admin >= {"compute_session", "compute_session_list", "compute_container"}


def targets_of(
    role: str | None, tenants: tuple[Target, Target], mates: Target
) -> tuple[Target, ...]:
    if role is None:
        return tenants[1:]
    return (mates, *tenants) if role == "project admin" else tenants


def judge_query(role: str, root: str, action: Action, answer: Answer) -> str | None:
    if answer.status != 200:
        return f"answered {answer.status}"
    told = json.dumps(answer.json.get("errors", ()))
    is_refused = f"no permission to read {root}" in told
    return None if is_refused is not is_let_in(role, action) else f"refused is {is_refused}"


async def test_every_mutation_is_for_whom_it_declares(
    manager: Manager, as_user: Callable[[str], Caller], tenants: tuple[Target, Target]
) -> None:
    """Superadmins are asked about nobody's things only: they may do all of it."""
    wrong = []
    before = await snapshot(manager.stores.database)
    for name, role, caller in callers(as_user):
        if role == "superadmin":
            assert await snapshot(manager.stores.database) == before
        for root, action in ROOTS["Mutation"].items():
            more = tenants if role == "project admin" else tenants[1:]
            for target in (NOBODY,) if role == "superadmin" else (NOBODY, *more):
                values = next(argument_sets(root, OURS.mutation_type.fields[root], target))
                is_theirs = target is not NOBODY and names(target, values)
                ask = Ask("POST", "/admin/gql", document_of(OURS, "Mutation", (root, values)))
                answer = await send(caller, ask)
                problem = (
                    judge_refused(answer)
                    if role is None
                    else judge_mutation(role, root, action, answer, is_theirs)
                )
                told = told_of(role, ask, answer, tenants[1])
                if problem or told:
                    wrong.append((name, ask, problem, told, answer.body[:300]))
    assert not wrong, "\n".join(map(str, wrong))


def names(target: Target, values: Mapping[str, Any]) -> bool:
    return any(value in astuple(target) for value in values.values())


def judge_mutation(
    role: str, root: str, action: Action, answer: Answer, is_theirs: bool
) -> str | None:
    if answer.status != 200:
        return f"answered {answer.status}"
    found = (answer.json["data"] or {}).get(root)
    # An answer without `ok` tells a refusal as an error.
    errors = answer.json.get("errors") or [{}]
    told = errors[0].get("message") if found is None else found.get("msg")
    is_refused = told == f"no permission to execute {root}"
    if is_refused is is_let_in(role, action):
        return f"refused is {is_refused}"
    if is_theirs and found is not None and found.get("ok", True):
        return "done to somebody else's"
    return None
