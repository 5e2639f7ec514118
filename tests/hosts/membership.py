"""How a host becomes a node by `backendai ag join`, and stops being one of the rig for a while."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from backendai.common.settings.render import render_toml
from backendai.halfstack.engine import remove_tree
from tests.hosts.host import Host
from tests.running.stack import COMMAND, Done


@contextmanager
def lent(host: Host) -> Iterator[None]:
    """A host that is no node any more: its agent is down, and its files are away. What it has run
    meanwhile is removed afterwards."""
    host.stop_agent()
    kept, state = host.etc.with_name("kept"), host.folder / "lent"
    host.etc.rename(kept)
    host.etc.mkdir()
    # What an operator sets beside what the cluster says.
    settings = host.settings()
    own = {
        "agent": {"state-dir": str(state), "bundle-dir": settings["agent"]["bundle-dir"]},
        "container": settings["container"],
    }
    (host.etc / "agent.toml").write_text(render_toml(own))
    try:
        yield
    finally:
        if host.has_agent:
            host.stop_agent()
        with host.engine() as client:
            for name in host.containers():
                client.api.remove_container(name, force=True)
        remove_tree(state)
        shutil.rmtree(host.etc)
        kept.rename(host.etc)


def join(host: Host, manager: str, token: str, *words: str, **environ: str) -> Done:
    """`backendai ag join`, the token where nobody sees it."""
    given = [f"{name}={text}" for name, text in (environ or {"BACKEND_JOIN_TOKEN": token}).items()]
    argv = ["env", *given, str(COMMAND), "ag", "join", manager, *words]
    return host.run(*argv, "-f", str(host.etc / "agent.toml"))
