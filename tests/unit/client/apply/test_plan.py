"""Plans: what they change, what they leave alone, and that a second one is empty."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.client.apply.diff import NOTHING, plan_lines, step_row
from backendai.client.apply.document import Password, Ref, Wanted
from backendai.client.apply.fields import FIELDS, Kind, canonical
from backendai.client.apply.plan import Difference, Plan, Present, Step, Verb, make_plan
from backendai.client.faults import BadDocument

DEFAULT = Ref(Kind.DOMAIN, "default")
LAB = Ref(Kind.DOMAIN, "lab")
ANN = Ref(Kind.USER, "ann@example.com")
ANNS = Ref(Kind.KEYPAIR, "ann@example.com", "user")


def project(name: str, domain: str = "default") -> Ref:
    return Ref(Kind.PROJECT, name, domain)


def want(ref: Ref, password: Password | None = None, **values: Any) -> Wanted:
    named = {name.replace("_", "-"): value for name, value in values.items()}
    return Wanted(ref, f"{ref.kind}[1]", named, password)


def have(*refs: Ref, **more: Any) -> Present:
    """What there is, each with `more` of its properties."""
    return Present({ref: canonical(ref.kind, more) for ref in refs})


def problems_of(wanted: list[Wanted], present: Present) -> Mapping[str, Any]:
    with pytest.raises(BadDocument) as caught:
        make_plan(wanted, present)
    return caught.value.facts


def test_who_administers_a_project_is_in_it_and_leaves_both_with_the_domain() -> None:
    wanted = [want(ANN, projects=["p"], administers=["p", "q"])]
    told = problems_of(wanted, have(DEFAULT, ANN, project("p"), project("q")))
    assert told == {"user[1].administers": "name q among the projects too"}
    present = have(
        DEFAULT, LAB, ANN, project("p", "lab"), domain="default", projects=["p"], administers=["p"]
    )
    moved = make_plan([want(ANN, domain="lab", projects=["p"], administers=["p"])], present)
    assert Difference("administers", [], ["p"]) in moved.steps[0].differences
    (kept,) = make_plan([want(ANN, administers=[])], present).steps
    assert kept.differences == (Difference("administers", ["p"], []),)


def test_what_is_not_there_is_made_with_what_the_file_says() -> None:
    wanted = [
        want(LAB, description="d"),
        want(project("p", "lab")),
        want(ANN, Password(), domain="lab", projects=["p"]),
        want(ANNS, rate_limit=7),
    ]
    plan = make_plan(wanted, have(DEFAULT))
    assert plan.kept == 0
    assert [(step.verb, step.ref) for step in plan.steps] == [
        (Verb.CREATE, LAB),
        (Verb.CREATE, project("p", "lab")),
        (Verb.CREATE, ANN),
        (Verb.MODIFY, ANNS),
    ]
    user = plan.steps[2]
    assert (user.domain, user.password) == ("lab", Password())
    assert user.values == {"domain": "lab", "projects": ["p"]}


def test_only_what_the_file_names_is_compared() -> None:
    present = have(LAB, description="before", is_active=True)
    assert make_plan([want(LAB)], present) == Plan((), kept=1)
    [step] = make_plan([want(LAB, description="after", is_active=True)], present).steps
    assert step == Step(Verb.MODIFY, LAB, (Difference("description", "before", "after"),))


def test_a_user_who_is_there_keeps_domain_and_password() -> None:
    present = have(LAB, ANN, domain="lab", role="user")
    assert make_plan([want(ANN, Password("X"))], present).steps == ()
    [step] = make_plan([want(ANN, Password("X"), role="admin")], present).steps
    assert (step.domain, step.password) == ("lab", None)


def test_a_user_who_moves_leaves_the_projects_or_gets_those_of_the_new_domain() -> None:
    there = {
        ref: canonical(ref.kind, {"domain": "default", "projects": ["p"]})
        for ref in (DEFAULT, LAB, ANN, project("p"), project("p", "lab"))
    }
    present = Present(there)
    [step] = make_plan([want(ANN, domain="lab")], present).steps
    assert step.values == {"domain": "lab", "projects": []}
    [step] = make_plan([want(ANN, domain="lab", projects=["p"])], present).steps
    assert step.values == {"domain": "lab", "projects": ["p"]}
    assert make_plan([want(ANN, domain="default", projects=["p"])], present).steps == ()


def test_what_is_referred_to_must_be_there_or_wanted() -> None:
    wanted = [
        want(project("p", "nosuch")),
        want(ANN, projects=["q", "p"]),
        want(ANNS),
        want(Ref(Kind.KEYPAIR, "AK")),
    ]
    assert problems_of(wanted, have(DEFAULT)) == {
        "project[1].domain": "there is no domain nosuch, nor is it wanted",
        "user[1].projects": "there is no project q in default, p in default, nor is it wanted",
        "user[1]": "a new user needs password-env or generate-password = true",
        "keypair[1].access-key": "there is no such keypair; the server makes the keys",
    }
    assert problems_of([want(ANNS)], have(DEFAULT)) == {
        "keypair[1].user": "there is no user ann@example.com, nor is it wanted"
    }
    told = problems_of([want(ANNS)], have(ANN))
    assert told == {"keypair[1].user": "ann@example.com has no main keypair"}


def test_policies_that_are_referred_to_must_be_there_or_wanted() -> None:
    students = Ref(Kind.KEYPAIR_POLICY, "students")
    wanted = [want(ANNS, resource_policy="students"), want(ANN, resource_policy="students")]
    told = "there is no user-policy students, nor is it wanted"
    assert problems_of(wanted, have(DEFAULT, ANN, ANNS, students)) == {
        "user[1].resource-policy": told
    }
    plan = make_plan([want(students), *wanted[:1]], have(DEFAULT, ANN, ANNS))
    assert [str(step.ref) for step in plan.steps] == ["students", "main one of ann@example.com"]


def test_a_resource_group_opens_to_what_is_there_or_wanted() -> None:
    gpu = Ref(Kind.RESOURCE_GROUP, "gpu")
    opened = want(gpu, domains=["lab"], projects=["default/p", "lab/p"])
    assert problems_of([opened], have(DEFAULT, project("p"))) == {
        "resource-group[1].domains": "there is no domain lab, nor is it wanted",
        "resource-group[1].projects": "there is no project p in lab, nor is it wanted",
    }
    present = have(DEFAULT, LAB, project("p"), project("p", "lab"), gpu, domains=["default"])
    [step] = make_plan([opened], present).steps
    assert step.differences == (
        Difference("domains", ["default"], ["lab"]),
        Difference("projects", [], ["default/p", "lab/p"]),
    )
    assert make_plan([want(gpu)], present) == Plan((), kept=1)


def test_a_diff_is_read_by_people_and_by_programs() -> None:
    slots = {"cpu": "2", "mem": "1024"}
    wanted = [
        want(LAB, total_resource_slots=slots, description="a\x1bb"),
        want(ANN, Password("ANN_PW"), projects=[], status="active"),
        want(DEFAULT, description="", is_active=False),
    ]
    plan = make_plan(wanted, have(DEFAULT, description="old", is_active=True))
    assert list(plan_lines(plan)) == [
        "+ domain lab",
        "    total-resource-slots  cpu: 2, mem: 1024",
        "    description           a b",
        "+ user ann@example.com",
        "    projects  (none)",
        "    status    active",
        "    password  from ANN_PW",
        "~ domain default",
        "    description  old -> (none)",
        "    is-active    true -> false",
        "2 to create, 1 to change, 0 as they shall be.",
    ]
    assert step_row(plan.steps[2])["changes"]["description"] == {"before": "old", "after": ""}
    assert list(plan_lines(Plan((), kept=3))) == [NOTHING]


# Kinds whose objects are called by a name and refer to nothing.
_KINDS = st.sampled_from([Kind.DOMAIN, Kind.KEYPAIR_POLICY, Kind.PROJECT_POLICY, Kind.PRESET])
_REFS = st.builds(Ref, _KINDS, st.sampled_from("abc"))


@st.composite
def _rows(draw: st.DrawFn) -> dict[Ref, dict[str, str]]:
    values = st.sampled_from(["a", "b", ""])
    return {
        ref: draw(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS[ref.kind], values)))
        for ref in draw(st.sets(_REFS))
    }


@given(_rows(), st.sets(_REFS))
def test_after_its_steps_a_plan_is_empty_and_nothing_else_was_touched(
    rows: dict[Ref, dict[str, str]], there: set[Ref]
) -> None:
    wanted = [Wanted(ref, ref.name, values) for ref, values in rows.items()]
    before = have(*there, description="a", max_vfolder_count=3, resource_slots={"cpu": "1"})
    after = {ref: dict(values) for ref, values in before.properties.items()}
    for step in make_plan(wanted, before).steps:
        after.setdefault(step.ref, {}).update(step.values)
    assert make_plan(wanted, Present(after)) == Plan((), kept=len(wanted))
    for ref, values in before.properties.items():
        named = rows.get(ref, {})
        kept = {name: value for name, value in values.items() if name not in named}
        assert kept.items() <= after[ref].items()
