"""What a newer official client makes of this API: `python -m tests.conformance.newer`.

Needs a running instance (`./bai up`, or the one of BAI_TEST_STACK) and the Python that this
release wants. It starts one small session, runs the commands that only read, ends the session and
prints how each command ended. No part of the tests: it says what is so, and fails at nothing.
"""

import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from backendai.halfstack.quality import find_python
from tests.conformance.environment import make_client
from tests.running.sessions import end, find, resources, start
from tests.running.stack import Done, Stack, find_stack, run

VERSION: Final = "25.5.2"
PYTHON: Final = "3.12"
SECONDS: Final = 180.0

# One command a line. The session is called {name}; an empty list ends with 1 when piped.
READING: Final = """
    config
    ps
    ps --detail -s ALL --filter 'name == "{name}"' --order -created_at
    info {session}
    apps {name} -l
    session list
    session info {session}
    session logs {name}
    session ls {name} /home/work
    session status-history {name}
    session show-graph -t {name}
    session abuse-history {name}
    task-logs {session}
    dotfile list
    server-logs list
    session-template list
    image list
    admin agent list
    admin agent info {agent}
    admin announcement get
    admin domain list
    admin domain info default
    admin etcd get config -p
    admin group list
    admin group info default
    admin image list
    admin keypair info
    admin keypair list
    admin keypair-resource-policy list
    admin keypair-resource-policy info default
    admin manager status
    admin permission list
    admin resource container-registries
    admin resource query-slots
    admin resource vfolder-types
    admin resource usage-per-month 202401 {project}
    admin resource usage-per-period {project} 20240101 20240102
    admin scaling-group list
    admin scaling-group info default
    admin scaling-group get-available default
    admin session list
    admin session info {session}
    admin user list
    admin user info
"""


@contextmanager
def facts_of(stack: Stack) -> Iterator[dict[str, str]]:
    """What the commands speak of, with a session that ends afterwards."""
    api = stack.api("admin")
    name = "seen-by-newer"
    session = start(api, name, kind="busybox", config=resources())
    try:
        main = find(api, session)["main_kernel_id"]
        [place] = stack.query(f"SELECT agent_id FROM kernels WHERE id = '{main}'")
        [project] = stack.query("SELECT id FROM projects WHERE name = 'default' LIMIT 1")
        yield {
            "name": name,
            "session": session,
            "agent": place["agent_id"],
            "project": str(project["id"]),
        }
    finally:
        end(api, session)
        api.close()


def run_all(program: Path, stack: Stack, folder: str) -> Iterator[tuple[str, Done]]:
    environ = stack.environ | stack.credentials("admin") | {"HOME": folder}
    with facts_of(stack) as facts:
        for line in READING.strip().splitlines():
            words = [word.format(**facts) for word in shlex.split(line)]
            yield line.strip(), run([str(program), *words], environ, SECONDS, cwd=folder)


def last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "").strip()


def main() -> int:
    python = find_python(PYTHON)
    if python is None:
        print(f"backend.ai-client {VERSION} needs Python {PYTHON}, and none is here")
        return 1
    program = make_client(VERSION, python)
    succeeded = total = 0
    with tempfile.TemporaryDirectory(prefix="bai-newer-") as folder:
        for line, done in run_all(program, find_stack(), folder):
            total += 1
            succeeded += done.code == 0
            why = "" if done.code == 0 else last_line(done.err or done.out)
            print(f"{done.code:>4}  {line:<70}{why}"[:160], flush=True)
    print(f"backend.ai-client {VERSION}: {succeeded} of {total} commands ended with 0")
    return 0


if __name__ == "__main__":
    sys.exit(main())
