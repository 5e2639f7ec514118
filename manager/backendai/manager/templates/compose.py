"""PURE: a template and what a request says more become the body that creates the session."""

import shlex
from collections.abc import Mapping
from typing import Any, Final

from backendai.common.enums import ClusterRole
from backendai.common.faults import InvalidParams
from backendai.manager.sessions.model import RoleRequest
from backendai.manager.sessions.params import canonical_body

from .model import Template

_SHELLS: Final = ("sh", "bash")


def creation_body(template: Template, given: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a create. What `given` says counts more, also an empty map; nulls say nothing.

    `mounts` alone are always sent, so an empty list of them counts only beside a `mount_map`.
    """
    given = canonical_body({key: value for key, value in given.items() if key != "template_id"})
    config = given.pop("config", {})
    if not isinstance(config, dict):
        raise InvalidParams(facts={"config": "write an object"})
    if not config.get("mounts") and "mount_map" not in config:
        config.pop("mounts", None)
    own, own_config = _body_of(template), _config_of(template)
    if "mounts" in config or "mount_map" in config:
        own_config.pop("mount_map", None)
    return {**own, **given, "config": {**own_config, **config}}


def cluster_body(
    cluster: Template, tasks: Mapping[str, Template], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of the create of a cluster. What concerns the session as a whole its main node's
    template says; the cluster's own counts more, and `given` most. `tasks` are by their ids."""
    content, spec = cluster.content, cluster.content["spec"]
    nodes = spec["nodes"]
    main = next(
        tasks[node["session_template"]]
        for node in nodes
        if node["cluster_role"] == ClusterRole.MAIN
    )
    kernel = main.content["spec"]["kernel"]
    sent = canonical_body(given)
    own = {
        "name": content["metadata"]["name"],
        "domain": cluster.domain,
        "group": cluster.project,
        "config": {
            "environ": {**kernel.get("environ", {}), **spec.get("environ", {})},
            **_mounts_of(spec),
            **(sent.pop("config", None) or {}),
        },
    }
    fixed = {
        "image": kernel["image"],
        "architecture": kernel["architecture"],
        "clusterMode": content["mode"],
        "clusterSize": sum(node["replicas"] for node in nodes),
    }
    return {**creation_body(main, {**own, **sent}), **fixed}


def roles_of(cluster: Template, tasks: Mapping[str, Template]) -> tuple[RoleRequest, ...]:
    """What each kind of its kernels is, by the template of its node."""
    return tuple(_role_of(node, tasks) for node in cluster.content["spec"]["nodes"])


def _mounts_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    mounts = {name: path or name for name, path in spec.get("mounts", {}).items()}
    return {"mount_map": mounts} if mounts else {}


def _role_of(node: Mapping[str, Any], tasks: Mapping[str, Template]) -> RoleRequest:
    spec = tasks[node["session_template"]].content["spec"]
    return RoleRequest(
        role=ClusterRole(node["cluster_role"]),
        replicas=node["replicas"],
        image=spec["kernel"]["image"],
        architecture=spec["kernel"]["architecture"],
        resources=spec.get("resources", {}),
        resource_opts=spec.get("resource_opts", {}),
    )


def _body_of(template: Template) -> dict[str, Any]:
    content, spec = template.content, template.content["spec"]
    kernel = spec["kernel"]
    body = {
        "name": content["metadata"]["name"],
        "tag": content["metadata"].get("tag"),
        "domain": template.domain,
        "group": template.project,
        "type": spec["session_type"],
        "image": kernel["image"],
        "architecture": kernel["architecture"],
        "startupCommand": kernel.get("run", {}).get("startup_command") or None,
        "bootstrap_script": bootstrap_of(kernel),
    }
    return {key: value for key, value in body.items() if value is not None}


def _config_of(template: Template) -> dict[str, Any]:
    spec = template.content["spec"]
    config = {
        "environ": spec["kernel"].get("environ"),
        "mount_map": {name: path or name for name, path in spec.get("mounts", {}).items()},
        "resources": spec.get("resources"),
        "resource_opts": spec.get("resource_opts"),
        "scalingGroup": spec.get("scaling_group"),
        "agentList": spec.get("agent_list"),
    }
    return {key: value for key, value in config.items() if value}


def bootstrap_of(kernel: Mapping[str, Any]) -> str | None:
    """The script of a kernel; what it clones comes first. Raises InvalidParams where the script is
    not a shell's, and so nothing can come before it."""
    script = kernel.get("run", {}).get("bootstrap") or None
    git = kernel.get("git")
    if git is None:
        return script
    head, _, rest = (script or "").partition("\n")
    if not head.startswith("#!"):
        head, rest = "#!/bin/sh", script or ""
    elif not _is_of_shell(head):
        problem = f"with git it must be a shell script, not one for {head[2:].strip()[:80]}"
        raise InvalidParams(facts={"template.spec.kernel.run.bootstrap": problem})
    return "\n".join([head, *_clone(git), rest]) if rest else "\n".join([head, *_clone(git), ""])


def _is_of_shell(head: str) -> bool:
    """Whether a first line such as `#!/bin/bash -e` or `#!/usr/bin/env bash` names a shell."""
    names = [word.rsplit("/", 1)[-1] for word in head[2:].split() if not word.startswith("-")]
    return next((name for name in names if name != "env"), "") in _SHELLS


def _clone(git: Mapping[str, str]) -> list[str]:
    repository = git["repository"]
    folder = git.get("destination_dir") or repository.rstrip("/").split("/")[-1].split(":")[-1]
    folder = folder.removesuffix(".git")
    branch = ["--branch", git["branch"]] if "branch" in git else []
    lines = [shlex.join(["git", "clone", *branch, "--", repository, folder])]
    if "commit" in git:
        lines.append(shlex.join(["git", "-C", folder, "checkout", "--detach", git["commit"]]))
    return lines
