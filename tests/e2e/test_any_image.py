"""Any Linux image works: the runner brings its own Python and needs no libc of the image."""

import pytest

from tests.running.rest import Api
from tests.running.sessions import IMAGES, await_status, batch, execute, logs, start
from tests.running.stack import Stack


def test_a_command_runs_where_there_is_neither_python_nor_libc(stack: Stack) -> None:
    done = stack.cli("run", "--image", IMAGES["busybox"], "--", "sh", "-c", "echo hi")
    assert done.code == 0, done.both
    assert "hi" in done.out.split()


def test_the_exit_code_of_the_command_is_ours(stack: Stack) -> None:
    done = stack.cli("run", "--image", IMAGES["busybox"], "--", "sh", "-c", "exit 7")
    assert done.code == 7, done.both


@pytest.mark.parametrize("kind", sorted(IMAGES))
def test_code_runs_in_every_image(api: Api, kind: str) -> None:
    session = start(api, f"any-{kind}", kind=kind)
    assert execute(api, session, "print(6 * 7)") == "42\n"


@pytest.mark.parametrize("kind", sorted(IMAGES))
def test_a_batch_session_runs_in_every_image(api: Api, kind: str) -> None:
    session = batch(api, f"batch-{kind}", "echo done by $0", kind=kind)
    assert await_status(api, session, "TERMINATED")["result"] == "SUCCESS"
    assert "done by" in logs(api, session)


def test_python_of_the_image_is_the_one_that_runs_code(api: Api) -> None:
    session = start(api, "whose-python", kind="python")
    shown = execute(api, session, "import sys; print(sys.executable)")
    assert not shown.startswith("/opt/kernel"), shown
