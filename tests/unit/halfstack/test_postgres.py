"""The user that PostgreSQL believes to be when we are root."""

import pwd
import sys
from pathlib import Path

import pytest

from backendai.halfstack import postgres
from backendai.halfstack.faults import SetupFault
from backendai.halfstack.places import Layout


def _accounts(*uids: int) -> list[pwd.struct_passwd]:
    return [pwd.struct_passwd((f"u{uid}", "x", uid, uid, "", "/", "/bin/sh")) for uid in uids]


@pytest.mark.parametrize(
    ("uids", "chosen"),
    [
        pytest.param((0, 1, 2, 65534), 1, id="fresh machine: only system users"),
        pytest.param((0, 1, 1000, 65534), 1000, id="a person has an account"),
        pytest.param((0,), 1000, id="no account but root"),
    ],
)
def test_root_becomes_somebody_with_an_account(
    uids: tuple[int, ...],
    chosen: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("pwd.getpwall", lambda: _accounts(*uids))
    service = postgres.specify_postgres(Layout(tmp_path), 5432)
    assert f"--map-user={chosen}" in service.wrapper


def test_an_error_of_single_user_mode_is_a_failure_although_it_ends_well(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.make()
    with pytest.raises(SetupFault, match="canceling statement"):
        postgres._run(layout, ["/bin/sh", "-c", "echo ERROR:  canceling statement >&2"], "")


def test_an_interrupt_of_the_terminal_does_not_reach_the_server(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.make()
    leads = "import os, sys; sys.exit(os.getsid(0) != os.getpid())"
    postgres._run(layout, [sys.executable, "-c", leads], "")
