"""What user processes inherit, and how the runner is configured."""

from pathlib import Path

import pytest

from backendai.kernel.runner.environment import DEFAULT_PATH, list_interpreters, make_environ
from backendai.kernel.runner.main import Places, load_setup, parse_arguments
from backendai.kernel.runner.stages import find_default_command
from backendai.kernel.wire import KernelSetup

WORK = Path("/home/work")


def test_the_kernels_variables_lie_over_the_images() -> None:
    setup = KernelSetup(kernel_id="k", environ={"A": "kernel", "PATH": "/own"})
    environ = make_environ({"A": "image", "B": "image"}, setup, WORK)
    assert (environ["A"], environ["B"], environ["PATH"]) == ("kernel", "image", "/own")


def test_what_an_image_leaves_out_gets_a_default() -> None:
    environ = make_environ({}, KernelSetup(kernel_id="k"), WORK)
    assert environ["PATH"] == DEFAULT_PATH
    assert (environ["HOME"], environ["LANG"]) == ("/home/work", "C.UTF-8")


def test_the_images_preload_comes_back_for_users() -> None:
    environ = make_environ({"USER_LD_PRELOAD": "/x.so"}, KernelSetup(kernel_id="k"), WORK)
    assert environ["LD_PRELOAD"] == "/x.so"
    assert "USER_LD_PRELOAD" not in environ
    environ = make_environ({"USER_LD_PRELOAD": ""}, KernelSetup(kernel_id="k"), WORK)
    assert "LD_PRELOAD" not in environ


def test_the_named_interpreter_is_tried_first(tmp_path: Path) -> None:
    for name in ("python3", "python", "special"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    found = list_interpreters("special", str(tmp_path))
    assert [Path(path).name for path in found] == ["special", "python3", "python"]
    assert list_interpreters("/no/such", "/no/such") == []


def test_arguments() -> None:
    assert parse_arguments([]) == Places(Path("/run/backendai"), None)
    given = parse_arguments(["--run-dir", "/a", "--work-dir=/b"])
    assert given == Places(Path("/a"), Path("/b"))
    for wrong in (["--run-dir"], ["--other", "x"], ["x"]):
        with pytest.raises(ValueError, match="usage"):
            parse_arguments(wrong)


def test_a_wrong_setup_names_its_file_and_field(tmp_path: Path) -> None:
    path = tmp_path / "kernel.json"
    with pytest.raises(ValueError, match=r"kernel\.json is missing"):
        load_setup(path)
    path.write_text('{"kernel_id": "k", "generation": "x"}')
    with pytest.raises(ValueError, match="generation"):
        load_setup(path)


@pytest.mark.parametrize(
    ("files", "commands"),
    [
        ([], [None, None, None]),
        (["Makefile"], ["make clean", "make", None]),
        (["main.py"], [None, None, "python3 main.py"]),
        (["makefile", "main", "main.py"], ["make clean", "make", "./main"]),
    ],
)
def test_what_a_star_means(tmp_path: Path, files: list[str], commands: list[str | None]) -> None:
    for name in files:
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    found = [find_default_command(stage, tmp_path) for stage in ("clean", "build", "exec")]
    assert found == commands
