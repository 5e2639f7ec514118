"""PURE: what a template may say, checked with every fault at once; keys in canonical spelling."""

import re
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import trafaret as t

from backendai.common.enums import ClusterMode, ClusterRole, SessionType
from backendai.common.faults import InvalidParams
from backendai.common.params import check_params, checked
from backendai.common.slots import SlotError, parse_amount, parse_slot_name
from backendai.manager.sessions import names
from backendai.manager.sessions.params import CLUSTER_SIZE_MAX

from .model import NewTemplate, TemplateKind

NAME_CHARS_MAX: Final = 64
ENTRIES_MAX: Final = 16
_COMMAND_CHARS_MAX: Final = 64 * 1024
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BRANCH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,254}\Z", re.ASCII)
_COMMIT: Final = re.compile(r"[0-9A-Fa-f]{7,64}\Z", re.ASCII)
_REPOSITORY: Final = re.compile(r"https?://[^\s@]+|ssh://\S+|git@[\w.-]+:\S+", re.ASCII)


def _object(*keys: t.Key) -> Any:
    """An object whose keys may be written in camel case; nulls say nothing."""
    return t.Mapping(t.String(), t.Any()) & _canonical & t.Dict(*keys)


def _canonical(given: Mapping[str, Any]) -> dict[str, Any]:
    kept = [(_HUMP.sub("_", key).lower(), value) for key, value in given.items()]
    doubled = [key for key, count in Counter(key for key, _ in kept).items() if count > 1]
    if doubled:
        raise t.DataError(f"{', '.join(doubled)} is given in two spellings")
    return {key: value for key, value in kept if value is not None}


def _optional(name: str, trafaret: Any, **more: Any) -> t.Key:
    return t.Key(name, optional=True, trafaret=trafaret, **more)


def _text(chars_max: int = 256) -> Any:
    return t.String(min_length=1, max_length=chars_max)


def _word(value: Any) -> str:
    """A scalar as a text: `N: 1` in YAML means what `N: "1"` does."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise t.DataError("write a text or a number")


def _check_amount(name: str, value: Any) -> str:
    parse_amount(parse_slot_name(name), value)
    return str(value)


def _amounts(given: Mapping[str, Any]) -> dict[str, str]:
    problems: dict[str, t.DataError] = {}
    amounts: dict[str, str] = {}
    for name, value in given.items():
        try:
            amounts[name] = _check_amount(name, value)
        except SlotError as error:
            problems[name[:NAME_CHARS_MAX]] = t.DataError(str(error))
    if problems:
        raise t.DataError(problems)
    return amounts


def _check_repository(text: str) -> str:
    if not _REPOSITORY.fullmatch(text):
        raise ValueError("write https://host/path without a password, or git@host:path")
    return text


def _refuse_credential(_value: Any) -> Any:
    raise t.DataError("is not kept in a template: put it into a dotfile such as .netrc")


_NAME: Final = _text(NAME_CHARS_MAX)
_ENVIRON: Final = t.Mapping(_text(), t.Any() & _word) & checked(names.check_environ)
_MOUNTS: Final = t.Mapping(_text(), t.Null() | t.String(allow_blank=True, max_length=1024))
_GIT: Final = _object(
    t.Key("repository", trafaret=_text(1024) & checked(_check_repository)),
    _optional("commit", t.Regexp(_COMMIT)),
    _optional("branch", t.Regexp(_BRANCH)),
    _optional("destination_dir", _text()),
    _optional("credential", t.Call(_refuse_credential)),
)
_KERNEL: Final = _object(
    t.Key("image", trafaret=t.String() & checked(names.check_image_name)),
    _optional("architecture", t.Regexp(r"[A-Za-z0-9_]{1,32}\Z"), default="x86_64"),
    _optional("environ", _ENVIRON),
    _optional(
        "run",
        _object(
            _optional("bootstrap", t.String(allow_blank=True) & checked(names.check_script)),
            _optional("startup_command", t.String(allow_blank=True, max_length=_COMMAND_CHARS_MAX)),
        ),
    ),
    _optional("git", _GIT),
)
_TASK: Final = _object(
    t.Key("api_version", trafaret=t.Any() & _word),
    t.Key("kind", trafaret=t.Enum("taskTemplate", "task_template")),
    t.Key("metadata", trafaret=_object(t.Key("name", trafaret=_NAME), _optional("tag", _NAME))),
    t.Key(
        "spec",
        trafaret=_object(
            _optional(
                "session_type", t.Enum(*[w.value for w in SessionType]), default="interactive"
            ),
            t.Key("kernel", trafaret=_KERNEL),
            _optional("scaling_group", _NAME),
            _optional("mounts", _MOUNTS),
            _optional("resources", t.Mapping(_text(), t.Any()) & _amounts),
            _optional("resource_opts", t.Mapping(_text(), t.Any() & _word)),
            _optional("agent_list", t.List(_text(), max_length=CLUSTER_SIZE_MAX)),
        ),
    ),
)
_NODE: Final = _object(
    t.Key("cluster_role", trafaret=t.Enum(*[word.value for word in ClusterRole])),
    t.Key("session_template", trafaret=t.String() & checked(lambda text: str(uuid.UUID(text)))),
    _optional("replicas", t.Int(gte=1, lte=CLUSTER_SIZE_MAX), default=1),
)
_CLUSTER: Final = _object(
    t.Key("api_version", trafaret=t.Any() & _word),
    t.Key("kind", trafaret=t.Enum("clusterTemplate", "cluster_template")),
    t.Key("mode", trafaret=t.Enum(*[word.value for word in ClusterMode])),
    t.Key("metadata", trafaret=_object(t.Key("name", trafaret=_NAME))),
    t.Key(
        "spec",
        trafaret=_object(
            _optional("environ", _ENVIRON),
            _optional("mounts", _MOUNTS),
            t.Key("nodes", trafaret=t.List(_NODE, min_length=1, max_length=CLUSTER_SIZE_MAX)),
        ),
    ),
)
_ID: Final = t.String() & checked(uuid.UUID)
_ENTRY_KEYS: Final = (
    _optional("name", _NAME),
    _optional("group_id", _ID),
    _optional("user_uuid", _ID),
    # Written by `get`, so that what was read can be put back; the project says it already.
    _optional("domain_name", _NAME),
)
_ENTRIES: Final[Mapping[TemplateKind, Any]] = {
    TemplateKind.TASK: _object(t.Key("template", trafaret=_TASK), *_ENTRY_KEYS),
    TemplateKind.CLUSTER: _object(t.Key("template", trafaret=_CLUSTER), *_ENTRY_KEYS),
}


def read_templates(documents: Sequence[Any], kind: TemplateKind) -> list[NewTemplate]:
    """The templates of a payload: a list of entries, several documents, or bare templates.

    Raises InvalidParams with the path of every fault below `payload`.
    """
    entries = [_as_entry(one) for one in _flat(documents)]
    if not 0 < len(entries) <= ENTRIES_MAX:
        problem = f"holds {len(entries)} templates; write 1 to {ENTRIES_MAX}"
        raise InvalidParams(facts={"payload": problem})
    checked = check_params(
        {"payload": entries}, t.Dict(t.Key("payload", trafaret=t.List(_ENTRIES[kind])))
    )
    made = [_made(entry) for entry in checked["payload"]]
    if kind is TemplateKind.CLUSTER:
        for index, template in enumerate(made):
            _refuse_headless(index, template)
    return made


def _flat(documents: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for document in documents:
        is_wrapped = isinstance(document, dict) and "session_templates" in document
        inner = document["session_templates"] if is_wrapped else document
        if inner is not None:
            found += inner if isinstance(inner, list) else [inner]
    return found


def _as_entry(value: Any) -> Any:
    """A template that stands alone is an entry without further words."""
    is_bare = isinstance(value, dict) and "template" not in value and "spec" in value
    return {"template": value} if is_bare else value


def _made(entry: Mapping[str, Any]) -> NewTemplate:
    content = entry["template"]
    name = entry.get("name") or content["metadata"]["name"]
    return NewTemplate(name, content, entry.get("group_id"), entry.get("user_uuid"))


def _refuse_headless(index: int, template: NewTemplate) -> None:
    nodes = template.content["spec"]["nodes"]
    mains = sum(node["replicas"] for node in nodes if node["cluster_role"] == ClusterRole.MAIN)
    total = sum(node["replicas"] for node in nodes)
    problem = "needs exactly one main node" if mains != 1 else ""
    if total > CLUSTER_SIZE_MAX:
        problem = f"has {total} nodes; at most {CLUSTER_SIZE_MAX} are allowed"
    if problem:
        raise InvalidParams(facts={f"payload.{index}.template.spec.nodes": problem})
