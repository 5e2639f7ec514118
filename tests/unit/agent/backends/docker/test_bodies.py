"""What the engine is told of an image that is made of a container."""

from backendai.agent.backends.docker.bodies import commit_body

BASE = {
    "Labels": {"ai.backend.role": "COMPUTE"},
    "Entrypoint": None,
    "Cmd": ["python3"],
    "Env": ["PATH=/bin"],
    "User": "",
}
CONTAINER = {
    "Labels": {"ai.backend.role": "COMPUTE", "bai.kernel": "k", "bai.agent": "i-1"},
    "Entrypoint": ["/opt/kernel/entry"],
    "User": "1000:1000",
}


def test_an_image_keeps_nothing_of_the_kernel() -> None:
    body = commit_body(BASE, CONTAINER, {"mine": "yes"})
    assert body["Labels"] == {
        "ai.backend.role": "COMPUTE",
        "mine": "yes",
        "bai.kernel": "",
        "bai.agent": "",
    }
    assert (body["Entrypoint"], body["Cmd"], body["User"]) == ([], ["python3"], "0")
    assert body["Env"] == ["PATH=/bin"]


def test_what_the_base_says_stays_and_new_labels_win() -> None:
    base = {"Labels": {"mine": "no"}, "Entrypoint": ["/init"], "User": "app", "WorkingDir": "/app"}
    body = commit_body(base, {"Labels": None}, {"mine": "yes"})
    assert body == {**base, "Labels": {"mine": "yes"}, "Cmd": []}
