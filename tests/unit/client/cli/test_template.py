"""`template`: the words of the other groups, and an example that the server takes."""

import textwrap
from pathlib import Path

import pytest
import yaml

from backendai.client.cli.template import add
from backendai.manager.templates.model import TemplateKind
from backendai.manager.templates.schema import read_templates
from tests.unit.client.cli.conftest import Commands

ROOT = Path(__file__).parents[4]


def test_the_example_of_the_help_is_a_template() -> None:
    text = (add.help or "").partition("training.yaml --project vision\n")[2]
    (made,) = read_templates([yaml.safe_load(textwrap.dedent(text))], TemplateKind.TASK)
    assert made.name == "training"


def test_the_examples_of_the_guide_are_templates() -> None:
    text = (ROOT / "docs/operating/templates.md").read_text()
    session, cluster = (part.partition("```")[0] for part in text.split("```yaml\n")[1:])
    (made,) = read_templates([yaml.safe_load(session)], TemplateKind.TASK)
    assert made.content["spec"]["kernel"]["git"]["branch"] == "main"
    (made,) = read_templates([yaml.safe_load(cluster)], TemplateKind.CLUSTER)
    assert made.name == "pair"


def test_templates_are_kept_for_somebody_else(commands: Commands) -> None:
    commands.transport.replies["POST /template/session"] = [{"id": "7"}]
    done = commands.run("template", "add", "-", "--owner", "AKANN", typed="kind: task_template\n")
    assert done.stdout == "7\n", done.output
    ((_, body),) = commands.transport.asked
    assert (body["payload"], body["owner_access_key"]) == ("kind: task_template\n", "AKANN")


@pytest.mark.parametrize("words", [("add", "-"), ("update", "7", "-")])
def test_an_empty_file_is_named(commands: Commands, words: tuple[str, ...]) -> None:
    done = commands.run("template", *words, typed="\n")
    assert (done.exit_code, commands.transport.asked) == (2, [])
    assert "is empty" in done.output


@pytest.mark.parametrize("word", ["create", "show"])
def test_former_words_are_no_commands(commands: Commands, word: str) -> None:
    assert commands.run("template", word, "1").exit_code == 2


def test_dotfiles_of_somebody_else(commands: Commands) -> None:
    commands.transport.replies["GET /user-config/dotfiles?owner_access_key=AKANN"] = []
    done = commands.run("dotfile", "list", "--owner", "AKANN")
    assert done.exit_code == 0, done.output
