"""What the manager's own commands print where scripts read it."""

from pathlib import Path

from click.testing import CliRunner

from backendai.common.rpc.curve import load_keypair
from backendai.manager.cli import mgr


def test_the_public_half_of_a_key_is_all_that_a_script_gets(tmp_path: Path) -> None:
    out, public = tmp_path / "manager.key", tmp_path / "manager.key.pub"
    argv = ["generate-rpc-keypair", "--out", str(out)]
    done = CliRunner().invoke(mgr, argv)
    assert done.exit_code == 0
    assert done.stdout == public.read_text() == f"{load_keypair(out).public}\n"
    assert f"wrote {out}" in done.stderr
    assert str(public) in done.stderr
    assert done.stdout.strip() not in done.stderr
    assert CliRunner().invoke(mgr, argv).stdout == done.stdout, "a key that is there stays"
