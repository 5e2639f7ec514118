"""What a registry's documents say, also those that make no sense."""

import hashlib
import json
from typing import Any

import pytest

from backendai.common.faults import RegistryFault
from backendai.manager.images import manifests as m

DIGEST = f"sha256:{'a' * 64}"


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def test_an_image_is_as_large_as_what_has_to_be_fetched() -> None:
    document = {
        "config": {"digest": DIGEST, "size": 5},
        "layers": [{"digest": DIGEST, "size": 10}, {"digest": DIGEST, "size": 20}],
    }
    manifest = m.read_manifest(encoded(document))
    assert manifest.size_bytes() == 35
    assert m.children_of(manifest) == []


def test_a_list_has_images_and_attestations_beside_them() -> None:
    def part(letter: str, **platform: str) -> dict[str, Any]:
        return {"digest": f"sha256:{letter * 64}", "platform": platform}

    parts = [
        part("a", architecture="amd64", os="linux"),
        part("b", architecture="unknown", os="unknown"),
        part("c", architecture="amd64", os="windows"),
        {"digest": f"sha256:{'d' * 64}"},
    ]
    manifest = m.read_manifest(encoded({"manifests": parts}))
    assert [digest[7] for digest in m.children_of(manifest)] == ["a", "d"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        encoded({}),
        encoded({"schemaVersion": 1, "fsLayers": []}),
        encoded({"config": {"digest": "sha256:../../../x"}}),
        encoded({"config": {"digest": DIGEST + "\n"}}),
        encoded({"manifests": [{"digest": "x"}]}),
        encoded({"config": {"digest": DIGEST, "size": "much"}}),
        encoded({"config": {"digest": DIGEST, "size": 1 << 62}}),
        encoded({"config": {"digest": DIGEST, "size": -1}}),
        b'{"config": ' + b"[" * 100_000,
    ],
)
def test_senseless_manifests_are_refused(body: bytes) -> None:
    with pytest.raises(RegistryFault):
        m.read_manifest(body)


@pytest.mark.parametrize(
    ("document", "architecture", "labels"),
    [
        ({"architecture": "amd64", "os": "linux"}, "x86_64", {}),
        ({"architecture": "arm64", "os": "linux", "config": None}, "aarch64", {}),
        ({"architecture": "riscv64", "os": "linux", "config": {"Labels": None}}, "riscv64", {}),
        ({"architecture": "amd64", "os": "windows"}, None, {}),
        ({"config": {"Labels": {"a": "b"}}}, None, {"a": "b"}),
    ],
)
def test_a_configuration_tells_architecture_and_labels(
    document: Any, architecture: str | None, labels: dict[str, str]
) -> None:
    configuration = m.read_configuration(encoded(document))
    assert m.architecture_of(configuration) == architecture
    assert configuration.labels() == labels


@pytest.mark.parametrize(
    "body",
    [
        b'{"config": {"Labels": {"a": 1}}}',
        rb'{"config": {"Labels": {"a": "\u0000"}}}',
        rb'{"config": {"Labels": {"\u0000": "a"}}}',
        rb'{"architecture": "arm\u0000"}',
        b'{"x": ' + b"[" * 100_000,
    ],
)
def test_a_senseless_configuration_is_refused(body: bytes) -> None:
    with pytest.raises(RegistryFault):
        m.read_configuration(body)


def test_what_has_another_digest_is_something_else() -> None:
    body = b"content"
    assert m.fits_digest(body, m.digest_of(body))
    assert m.fits_digest(body, f"sha512:{hashlib.sha512(body).hexdigest()}")
    assert not m.fits_digest(body, DIGEST)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", m.Challenge("", {})),
        ('Basic realm="x"', m.Challenge("basic", {"realm": "x"})),
        (
            'Bearer realm="https://a/t",service="s", scope="repository:a/b:pull,push"',
            m.Challenge(
                "bearer",
                {"realm": "https://a/t", "service": "s", "scope": "repository:a/b:pull,push"},
            ),
        ),
        ("odd = \x00", m.Challenge("odd", {})),
    ],
)
def test_a_challenge_is_read(header: str, wanted: m.Challenge) -> None:
    assert m.parse_challenge(header) == wanted


def test_names_that_no_image_can_have_are_left_out() -> None:
    assert all(map(m.is_repository, ("a", "a/b-c", "a.b/c__d/e1")))
    assert not any(map(m.is_repository, ("", "A", "a//b", "../x", "a/", "a b", "a" * 200)))
    assert all(map(m.is_tag, ("1", "v1.0-x_y", "latest")))
    assert not any(map(m.is_tag, ("", "-x", "a/b", "a\n", "a" * 129)))


def test_a_project_has_what_is_below_it() -> None:
    assert m.is_wanted("a/b", ())
    assert m.is_wanted("a/b", ("a",))
    assert m.is_wanted("a/b/c", ("x", "a/b"))
    assert not m.is_wanted("ab/c", ("a",))
