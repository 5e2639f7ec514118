"""Labels say all of a container, and whatever is not as we write it is refused with words."""

import pytest

from backendai.agent import labels
from backendai.agent.labels import Identity, LabelError, container_name, read_labels, write_labels
from backendai.common.contracts.agent import KernelSpec

KERNEL = "9a63b5a3-d180-4ac5-9a18-168d3a8b488e"
SPEC = KernelSpec(
    session_id="s1",
    session_name="train",
    session_type="batch",
    image="python:3.11",
    slots={"cpu": "2", "mem": "1073741824"},
    owner_access_key="AKIA",
)
IDENTITY = Identity(
    agent_id="i-1",
    kernel_id=KERNEL,
    session_id="s1",
    generation=3,
    session_type="batch",
    slots={"cpu": "2", "mem": "1073741824"},
    devices={"cpu": ["0", "1"]},
    image="python:3.11",
    network="n1",
)


def test_an_identity_survives_its_labels() -> None:
    written = write_labels(IDENTITY, SPEC, "instance", "0.1")
    assert read_labels(container_name(KERNEL, 3), written) == IDENTITY


def test_the_hash_of_a_spec_changes_with_it() -> None:
    other = KernelSpec(session_id="s1", session_name="n", session_type="batch", image="i", slots={})
    assert labels.hash_spec(SPEC) == labels.hash_spec(SPEC) != labels.hash_spec(other)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({labels.KERNEL: "x"}, "no kernel id"),
        ({labels.KERNEL: KERNEL.upper()}, "canonical"),
        ({labels.KERNEL: f"{{{KERNEL}}}"}, "canonical"),
        ({labels.GENERATION: "-1"}, "no generation"),
        ({labels.GENERATION: "٣"}, "no generation"),
        ({labels.GENERATION: "4"}, "does not fit"),
        ({labels.SLOTS: "{"}, "cannot be read"),
        ({labels.DEVICES: '{"cpu": 3}'}, "cannot be read"),
        ({labels.SESSION: ""}, "missing"),
        ({labels.AGENT: ""}, "missing"),
    ],
)
def test_garbage_is_refused(changes: dict[str, str], words: str) -> None:
    written = write_labels(IDENTITY, SPEC, "instance", "0.1") | changes
    with pytest.raises(LabelError, match=words):
        read_labels(container_name(KERNEL, 3), written)


def test_labels_that_an_image_mimics_do_not_fit_another_name() -> None:
    with pytest.raises(LabelError, match="does not fit"):
        read_labels("web", write_labels(IDENTITY, SPEC, "instance", "0.1"))
