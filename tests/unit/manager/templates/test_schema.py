"""What a template may say, and how it is told what it may not."""

import uuid
from typing import Any

import pytest

from backendai.common.faults import InvalidParams
from backendai.manager.templates.model import TemplateKind
from backendai.manager.templates.schema import ENTRIES_MAX, read_templates

TASK, CLUSTER = TemplateKind.TASK, TemplateKind.CLUSTER
NODE = str(uuid.UUID(int=1))


def task(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": 6,
        "kind": "taskTemplate",
        "metadata": {"name": "demo", "tag": None},
        "spec": {"kernel": {"image": "python:3.11"}, **spec},
    }


def cluster(*roles: str, **node: Any) -> dict[str, Any]:
    nodes = [{"clusterRole": role, "sessionTemplate": NODE, **node} for role in roles]
    return {
        "api_version": "v1",
        "kind": "cluster_template",
        "mode": "single-node",
        "metadata": {"name": "pair"},
        "spec": {"nodes": nodes},
    }


def faults(kind: TemplateKind, *documents: Any) -> dict[str, Any]:
    with pytest.raises(InvalidParams) as caught:
        read_templates(list(documents), kind)
    return dict(caught.value.facts)


def test_keys_become_canonical_and_defaults_are_filled_in() -> None:
    spec = {
        "sessionType": "batch",
        "kernel": {
            "image": "python:3.11",
            "environ": {"SEED": 1, "camelCase": True},
            "run": {"startupCommand": "python train.py"},
        },
        "scalingGroup": "gpu",
        "resources": {"cpu": 2, "mem": "4g", "cuda.device": 1},
        "mounts": {"data": None, "code": "/home/work/code"},
    }
    [found] = read_templates([{"template": task(**spec)}], TASK)
    assert found.name == "demo"
    assert found.content["metadata"] == {"name": "demo"}
    assert found.content["spec"] == {
        "session_type": "batch",
        "kernel": {
            "image": "python:3.11",
            "architecture": "x86_64",
            "environ": {"SEED": "1", "camelCase": "true"},
            "run": {"startup_command": "python train.py"},
        },
        "scaling_group": "gpu",
        "resources": {"cpu": "2", "mem": "4g", "cuda.device": "1"},
        "mounts": {"data": None, "code": "/home/work/code"},
    }


@pytest.mark.parametrize(
    "documents",
    [
        [task(), task()],
        [[{"template": task()}, {"template": task()}]],
        [{"session_templates": [{"template": task()}, task()]}, None],
    ],
)
def test_a_payload_holds_templates_in_each_of_the_usual_ways(documents: list[Any]) -> None:
    assert [one.name for one in read_templates(documents, TASK)] == ["demo", "demo"]


def test_an_entry_names_its_template_and_project() -> None:
    entry = {"template": task(), "name": "other", "groupId": NODE, "user_uuid": NODE}
    [found] = read_templates([entry], TASK)
    assert (found.name, found.project_id, found.user_id) == (
        "other",
        uuid.UUID(NODE),
        uuid.UUID(NODE),
    )


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"kernel": {}}, "kernel.image"),
        ({"kernel": {"image": "no such"}}, "kernel.image"),
        ({"kernel": {"image": "a", "environ": {"LD_PRELOAD": "x"}}}, "kernel.environ"),
        ({"kernel": {"image": "a", "environ": {"A": []}}}, "kernel.environ.A.value"),
        ({"kernel": {"image": "a", "git": {}}}, "kernel.git.repository"),
        ({"kernel": {"image": "a", "git": {"repository": "file:///x"}}}, "kernel.git.repository"),
        (
            {"kernel": {"image": "a", "git": {"repository": "https://h/r", "branch": "-x"}}},
            "kernel.git.branch",
        ),
        (
            {"kernel": {"image": "a", "git": {"repository": "https://h/r", "credential": {}}}},
            "kernel.git.credential",
        ),
        ({"resources": {"cpu": "many"}}, "resources.cpu"),
        ({"resources": {"CPU": 1}}, "resources.CPU"),
        ({"session_type": "odd"}, "session_type"),
        ({"scaling_group": 7}, "scaling_group"),
        ({"color": "red"}, "color"),
    ],
)
def test_each_fault_is_told_with_its_path(spec: dict[str, Any], path: str) -> None:
    assert f"payload.0.template.spec.{path}" in faults(TASK, {"template": task(**spec)})


def test_all_faults_are_told_at_once() -> None:
    found = faults(TASK, {"template": {"kind": "pod", "spec": {"kernel": {}}}})
    wanted = {"api_version", "kind", "metadata", "spec.kernel.image"}
    assert found.keys() == {f"payload.0.template.{one}" for one in wanted}


@pytest.mark.parametrize(
    "documents",
    [[], [None], [[]], ["text"], [7], [{"template": {}}], [[task()] * (ENTRIES_MAX + 1)]],
)
def test_what_is_no_template_is_refused(documents: list[Any]) -> None:
    assert faults(TASK, *documents)


def test_one_key_in_two_spellings_is_refused() -> None:
    spec = {"session_type": "batch", "sessionType": "interactive"}
    told = faults(TASK, task(**spec))["payload.0.template.spec"]
    assert "session_type is given in two spellings" in told


def test_a_cluster_has_one_main_node() -> None:
    [found] = read_templates([cluster("main", "sub")], CLUSTER)
    assert [node["replicas"] for node in found.content["spec"]["nodes"]] == [1, 1]
    for roles in (("sub",), ("main", "main")):
        told = faults(CLUSTER, cluster(*roles))
        assert told == {"payload.0.template.spec.nodes": "needs exactly one main node"}
    assert faults(CLUSTER, cluster("main", replicas=2))
    assert "at most" in str(faults(CLUSTER, cluster("main", "sub", "sub", replicas=256)))


def test_a_template_of_the_other_kind_is_refused() -> None:
    assert "payload.0.template.kind" in faults(TASK, cluster("main"))
    assert "payload.0.template.kind" in faults(CLUSTER, task())
