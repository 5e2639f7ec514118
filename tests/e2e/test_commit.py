"""A person keeps what a session has become: commit it, and start another session from the image."""

import uuid

from tests.running.stack import Stack

KEEP = "open('/var/tmp/kept', 'w').write('yes')"


def test_a_session_becomes_an_image_that_has_its_files(stack: Stack) -> None:
    name = f"tools-{uuid.uuid4().hex[:8]}"
    stack.ok("session", "create", "--name", "demo")
    stack.ok("session", "exec", "demo", "-c", f"x = 41; {KEEP}")
    if stack.backend == "process":
        refused = stack.cli("session", "commit", "demo", "--name", f"{name}:1")
        assert refused.code != 0
        assert "no containers that images are made of" in refused.both
        return
    assert f"/{name}:1 is made" in stack.ok("session", "commit", "demo", "--name", f"{name}:1")
    assert stack.ok("session", "commit-status", "demo").strip() == "ready"
    assert stack.ok("session", "exec", "demo", "-c", "print(x + 1)").strip() == "42"
    taken = stack.cli("session", "commit", "demo", "--name", f"{name}:1")
    assert taken.code != 0
    assert "choose another" in taken.both
    stack.ok("session", "terminate", "demo")
    stack.ok("session", "create", "--name", "again", "--image", f"{name}:1")
    code = "print(open('/var/tmp/kept').read())"
    assert stack.ok("session", "exec", "again", "-c", code).strip() == "yes"
