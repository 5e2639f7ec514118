"""Which apps are offered, and how those that the platform knows are started."""

from pathlib import Path

import pytest

from backendai.kernel.runner.offers import FOUND, list_offers
from backendai.kernel.runner.recipes import RECIPES, Situation
from backendai.kernel.wire import DeclaredApp


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    for name in ("jupyter-lab", "tensorboard"):
        (tmp_path / name).touch(0o755)
    (tmp_path / "code-server").touch(0o644)
    return tmp_path


def declare(name: str, *ports: int, protocol: str = "http") -> DeclaredApp:
    return DeclaredApp(name=name, protocol=protocol, ports=list(ports))


def test_built_in_apps_are_always_there() -> None:
    offers = list_offers([], "")
    assert [(one.name, one.protocol) for one in offers.values()] == [
        ("ttyd", "http"),
        ("sshd", "tcp"),
        ("files", "http"),
    ]


def test_programs_of_the_image_are_found_without_a_label(programs: Path) -> None:
    offers = list_offers([], str(programs))
    found = {name: one.ports for name, one in offers.items() if one.source == "found"}
    assert found == {"jupyterlab": (8888,), "tensorboard": (6006,)}


def test_a_built_in_app_goes_before_a_declared_one_and_that_before_a_found_one(
    programs: Path,
) -> None:
    offers = list_offers([declare("ttyd", 1), declare("jupyterlab", 8081)], str(programs))
    assert offers["ttyd"].source == "built-in"
    assert (offers["jupyterlab"].source, offers["jupyterlab"].ports) == ("declared", (8081,))


def test_a_found_app_leaves_its_port_to_a_declared_one(programs: Path) -> None:
    declared = [declare("web", 8888, 8889), declare("5000", 5000, protocol="preopen")]
    offers = list_offers(declared, str(programs))
    assert offers["jupyterlab"].ports == (8890,)
    assert offers["5000"].protocol == "preopen"


def test_an_app_without_a_port_is_none() -> None:
    assert "web" not in list_offers([declare("web")], "")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_listens_inside_alone(name: str) -> None:
    command = RECIPES[name](Situation("/bin/x", 4321, "/home/work"))
    assert command[0] == "/bin/x"
    assert any("127.0.0.1" in word for word in command)
    assert any("4321" in word for word in command)
    assert not any("0.0.0.0" in word for word in command)


def test_what_is_found_can_be_started() -> None:
    assert {offer.name for offer in FOUND.values()} == set(RECIPES)


def test_what_is_given_goes_before_the_default() -> None:
    make = RECIPES["tensorboard"]
    assert "--logdir=/home/work/logs" in make(Situation("t", 1, "/home/work"))
    given = make(Situation("t", 1, "/home/work", given=frozenset(["--logdir"])))
    assert not any("--logdir" in word for word in given)


def test_jupyter_is_told_that_it_runs_as_root() -> None:
    make = RECIPES["jupyterlab"]
    assert "--allow-root" in make(Situation("j", 1, "/", is_root=True))
    assert "--allow-root" not in make(Situation("j", 1, "/"))
