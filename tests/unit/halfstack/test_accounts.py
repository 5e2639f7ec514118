"""First rows and credentials: random, the same next time, loadable by the manager."""

import re
import stat
import subprocess
import sys
from pathlib import Path

from backendai.halfstack.accounts import compose_fixture, load_accounts, write_environment_files
from backendai.halfstack.places import Layout
from backendai.manager.accounts.fixture import check_fixture


def test_accounts_are_random_and_kept(tmp_path: Path) -> None:
    one, two = Layout(tmp_path / "1"), Layout(tmp_path / "2")
    assert load_accounts(one) == load_accounts(one)
    secrets = {
        word
        for layout in (one, two)
        for a in load_accounts(layout)
        for word in (a.password, a.access_key, a.secret_key)
    }
    assert len(secrets) == 12


def test_the_manager_accepts_the_first_rows(tmp_path: Path) -> None:
    rows = check_fixture(compose_fixture(Layout(tmp_path)))
    assert [row["role"] for row in rows["users"]] == ["superadmin", "user"]
    assert rows["domains"][0]["name"] == "default"


def test_keys_have_the_form_that_clients_know(tmp_path: Path) -> None:
    for account in load_accounts(Layout(tmp_path)):
        assert re.fullmatch(r"AKIA[A-Z0-9]{16}", account.access_key)
        assert re.fullmatch(r"[A-Za-z0-9]{40}", account.secret_key)


def test_environment_files_are_for_their_owner_only(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_environment_files(layout, "http://127.0.0.1:8081", "bai/python:3.11")
    for account in load_accounts(layout):
        path = tmp_path / f"env-{account.name}.sh"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        text = path.read_text()
        assert f"export BACKEND_ACCESS_KEY={account.access_key}" in text
        assert "export BACKEND_ENDPOINT_TYPE=api" in text
        assert f"export BAI_PASSWORD={account.password}" in text


def test_an_environment_file_puts_the_command_on_the_path_once(tmp_path: Path) -> None:
    write_environment_files(Layout(tmp_path), "http://127.0.0.1:8081", "bai/python:3.11")
    twice = f'. "{tmp_path}/env-user.sh"; . "{tmp_path}/env-user.sh"; echo "$PATH"'
    done = subprocess.run(
        ["/bin/sh", "-c", twice], capture_output=True, text=True, env={"PATH": "/bin"}, check=True
    )
    assert done.stdout.strip() == f"{sys.prefix}/bin:/bin"
