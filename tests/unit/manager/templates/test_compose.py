"""What a template and a request say together."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from backendai.common.faults import InvalidParams
from backendai.manager.sessions.model import SessionRequest
from backendai.manager.sessions.params import read_session_request
from backendai.manager.templates.compose import bootstrap_of, creation_body
from backendai.manager.templates.model import Template, TemplateKind
from backendai.manager.templates.schema import read_templates

NOW = datetime(2026, 1, 31, tzinfo=UTC)
GIT = {"repository": "https://example.com/some/work.git"}


def template(**spec: Any) -> Template:
    kernel = {
        "image": "python:3.11",
        "environ": {"A": "1"},
        "run": {"startup_command": "train"},
    }
    content = {
        "api_version": "1",
        "kind": "task_template",
        "metadata": {"name": "from-metadata", "tag": "tagged"},
        "spec": {
            "kernel": kernel,
            "resources": {"cpu": 2, "mem": "1g"},
            "mounts": {"data": "/data", "code": None},
            **spec,
        },
    }
    [new] = read_templates([content], TemplateKind.TASK)
    return Template(
        id=uuid.UUID(int=1),
        kind=TemplateKind.TASK,
        name=new.name,
        content=new.content,
        domain="default",
        project_id=uuid.UUID(int=2),
        project="research",
        user_id=uuid.UUID(int=3),
        email="a@example.com",
        is_guarded=False,
        created_at=NOW,
    )


def mounted(wanted: SessionRequest) -> tuple[str, ...]:
    return tuple(wish.reference for wish in wanted.mounts)


def test_a_template_alone_is_a_whole_request() -> None:
    body = creation_body(template(session_type="batch", scaling_group="gpu"), {})
    wanted = read_session_request(body, NOW)
    assert (wanted.name, wanted.image, wanted.tag) == ("from-metadata", "python:3.11", "tagged")
    assert (wanted.type.value, wanted.startup_command) == ("batch", "train")
    assert (wanted.project, wanted.domain) == ("research", "default")
    assert wanted.environ == {"A": "1"}
    assert wanted.resources == {"cpu": "2", "mem": "1g"}
    assert (mounted(wanted), wanted.resource_group) == (("data", "code"), "gpu")


def test_what_is_given_counts_more_in_every_spelling() -> None:
    given = {
        "template_id": "x",
        "name": "mine",
        "lang": "busybox:1",
        "groupName": "default",
        "tag": None,
        "startup_command": "other",
        "config": {"environ": {"B": "2"}, "resources": None, "scaling_group": "cpu", "mounts": []},
    }
    wanted = read_session_request(creation_body(template(), given), NOW)
    assert (wanted.name, wanted.image, wanted.project) == ("mine", "busybox:1", "default")
    assert (wanted.tag, wanted.startup_command) == ("tagged", "other")
    assert (wanted.environ, wanted.resources) == ({"B": "2"}, {"cpu": "2", "mem": "1g"})
    assert (wanted.resource_group, mounted(wanted)) == ("cpu", ("data", "code"))


def test_empty_maps_take_away_what_the_template_says() -> None:
    config: dict[str, Any] = {"environ": {}, "resources": {}, "mounts": [], "mount_map": {}}
    wanted = read_session_request(creation_body(template(), {"config": config}), NOW)
    assert (wanted.environ, wanted.resources, wanted.mounts) == ({}, {}, ())


def test_given_folders_stand_for_those_of_the_template() -> None:
    body = creation_body(template(), {"config": {"mounts": ["other"]}})
    assert mounted(read_session_request(body, NOW)) == ("other",)


def test_a_config_that_is_no_object_is_refused() -> None:
    with pytest.raises(InvalidParams):
        creation_body(template(), {"config": [1]})


@pytest.mark.parametrize(
    ("kernel", "script"),
    [
        ({}, None),
        ({"run": {"bootstrap": "echo hi"}}, "echo hi"),
        (
            {"git": GIT},
            "#!/bin/sh\ngit clone -- https://example.com/some/work.git work\n",
        ),
        (
            {"git": {**GIT, "branch": "dev", "commit": "abcdef0", "destination_dir": "my work"}},
            "#!/bin/sh\ngit clone --branch dev -- https://example.com/some/work.git 'my work'\n"
            "git -C 'my work' checkout --detach abcdef0\n",
        ),
        (
            {"git": GIT, "run": {"bootstrap": "#!/usr/bin/env bash\necho hi\n"}},
            "#!/usr/bin/env bash\ngit clone -- https://example.com/some/work.git work\necho hi\n",
        ),
    ],
)
def test_what_is_cloned_comes_first(kernel: dict[str, Any], script: str | None) -> None:
    assert bootstrap_of(kernel) == script


@pytest.mark.parametrize("head", ["#!/bin/sh -e", "#! /bin/bash", "#!/usr/bin/env -S bash -e"])
def test_a_shell_may_have_options(head: str) -> None:
    script = bootstrap_of({"git": GIT, "run": {"bootstrap": f"{head}\necho hi\n"}})
    assert script is not None
    assert script.startswith(f"{head}\ngit clone ")


@pytest.mark.parametrize("head", ["#!/usr/bin/python3", "#!", "#!/", "#! /bin/", "#!/usr/bin/env"])
def test_nothing_is_put_before_a_script_that_is_no_shells(head: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        bootstrap_of({"git": GIT, "run": {"bootstrap": f"{head}\nprint()"}})
    assert "must be a shell script" in str(caught.value.facts)
