"""The labels of our containers: the truth about what runs on a node, written and read here.

A container is ours when its labels parse and its name is `bai.<kernel>.<generation>`. Whatever
fails that is a stray, told of and never touched: an image may carry labels that mimic ours.
"""

import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from backendai.common.contracts.agent import KernelSpec, ServicePort

PREFIX: Final = "bai."
AGENT: Final = "bai.agent"
INSTANCE: Final = "bai.instance"
KERNEL: Final = "bai.kernel"
SESSION: Final = "bai.session"
SESSION_NAME: Final = "bai.session-name"
SESSION_TYPE: Final = "bai.session-type"
GENERATION: Final = "bai.generation"
SPEC_HASH: Final = "bai.spec-hash"
SLOTS: Final = "bai.slots"
DEVICES: Final = "bai.devices"
IMAGE: Final = "bai.image"
IMAGE_DIGEST: Final = "bai.image-digest"
OWNER: Final = "bai.owner"
CLUSTER: Final = "bai.cluster"
NETWORK: Final = "bai.network"
SERVICE_PORTS: Final = "bai.service-ports"
CREATED_BY: Final = "bai.created-by"
PROBE: Final = "bai.probe"
# On a network of the swarm: the name of it.
CLUSTER_NETWORK: Final = "bai.cluster-network"

_T = TypeVar("_T")

_TEXTS: Final[msgspec.json.Decoder[dict[str, str]]] = msgspec.json.Decoder(dict[str, str])
_LISTS: Final[msgspec.json.Decoder[dict[str, list[str]]]] = msgspec.json.Decoder(
    dict[str, list[str]]
)
_PORTS: Final = msgspec.json.Decoder(tuple[ServicePort, ...])
_GENERATION: Final = re.compile(r"\d{1,9}", re.ASCII)


class LabelError(ValueError):
    """Labels that are not as this agent writes them; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose container it is and what it holds, as its labels say."""

    agent_id: str
    kernel_id: str
    session_id: str
    generation: int
    session_type: str = "interactive"
    slots: dict[str, str] = field(default_factory=dict)
    devices: dict[str, list[str]] = field(default_factory=dict)
    image: str = ""
    network: str = ""
    service_ports: tuple[ServicePort, ...] = ()


def container_name(kernel_id: str, generation: int) -> str:
    """The name that makes the engine itself refuse a second container of the same generation."""
    return f"bai.{kernel_id}.{generation}"


def write_labels(
    identity: Identity, spec: KernelSpec, instance: str, created_by: str
) -> dict[str, str]:
    return {
        AGENT: identity.agent_id,
        INSTANCE: instance,
        KERNEL: identity.kernel_id,
        SESSION: identity.session_id,
        SESSION_NAME: spec.session_name,
        SESSION_TYPE: spec.session_type,
        GENERATION: str(identity.generation),
        SPEC_HASH: hash_spec(spec),
        SLOTS: msgspec.json.encode(identity.slots).decode(),
        DEVICES: msgspec.json.encode(identity.devices).decode(),
        IMAGE: spec.image,
        IMAGE_DIGEST: spec.image_digest,
        OWNER: spec.owner_access_key,
        CLUSTER: f"{spec.cluster_role}:{spec.cluster_index}/{spec.cluster_size}",
        NETWORK: identity.network,
        SERVICE_PORTS: msgspec.json.encode(identity.service_ports).decode(),
        CREATED_BY: created_by,
    }


def read_labels(name: str, labels: Mapping[str, str]) -> Identity:
    """The identity that `labels` give the container called `name`. Raises LabelError."""
    identity = Identity(
        agent_id=_required(labels, AGENT),
        kernel_id=parse_kernel_id(_required(labels, KERNEL)),
        session_id=_required(labels, SESSION),
        generation=parse_generation(_required(labels, GENERATION)),
        session_type=labels.get(SESSION_TYPE, "interactive"),
        slots=_decoded(_TEXTS, labels, SLOTS),
        devices=_decoded(_LISTS, labels, DEVICES),
        image=labels.get(IMAGE, ""),
        network=labels.get(NETWORK, ""),
        service_ports=_decoded(_PORTS, labels, SERVICE_PORTS, "[]"),
    )
    expected = container_name(identity.kernel_id, identity.generation)
    if name != expected:
        raise LabelError(f"the name {name!r} does not fit the labels, which ask for {expected!r}")
    return identity


def hash_spec(spec: KernelSpec) -> str:
    return hashlib.sha256(msgspec.json.encode(spec, order="deterministic")).hexdigest()[:16]


def parse_kernel_id(text: str) -> str:
    """The id in its one canonical form, which is safe in a path and a name. Raises LabelError."""
    try:
        kernel_id = str(uuid.UUID(text))
    except ValueError:
        raise LabelError(f"{text!r} is no kernel id") from None
    if kernel_id != text:
        raise LabelError(f"{text!r} is no kernel id in its canonical form")
    return kernel_id


def parse_generation(text: str) -> int:
    if not _GENERATION.fullmatch(text):
        raise LabelError(f"{text!r} is no generation")
    return int(text)


def _required(labels: Mapping[str, str], name: str) -> str:
    value = labels.get(name, "")
    if not value:
        raise LabelError(f"the label {name} is missing")
    return value


def _decoded(
    decoder: msgspec.json.Decoder[_T], labels: Mapping[str, str], name: str, default: str = "{}"
) -> _T:
    try:
        return decoder.decode(labels.get(name, default))
    except msgspec.DecodeError as error:
        raise LabelError(f"the label {name} cannot be read: {error}") from None
