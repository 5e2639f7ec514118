"""Names of folders: what is allowed, and what is said of the rest."""

import uuid

import pytest

from backendai.common.faults import InvalidParams
from backendai.manager.vfolders.model import Ownership
from backendai.manager.vfolders.names import NAME_CHARS_MAX, check_name


@pytest.mark.parametrize("name", ["a", "data.v1", "my_data-2", ".local", ".config", "1", "x" * 64])
def test_a_plain_name_is_a_name(name: str) -> None:
    assert check_name(name, Ownership.USER) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "_", "-", "a/b", "/etc", "a b", "ä", "a\n", "a\0", "x" * (NAME_CHARS_MAX + 1)],
)
def test_what_is_no_word_is_refused(name: str) -> None:
    with pytest.raises(InvalidParams) as refused:
        check_name(name, Ownership.USER)
    assert "letters" in refused.value.facts["name"]


@pytest.mark.parametrize(
    "name", [".ssh", ".terminfo", ".jupyter", ".tmux.conf", ".bashrc", ".zsh_profile"]
)
def test_what_sessions_use_themselves_is_reserved(name: str) -> None:
    with pytest.raises(InvalidParams) as refused:
        check_name(name, Ownership.USER)
    assert "reserved" in refused.value.facts["name"]


def test_a_name_that_reads_as_an_id_is_refused() -> None:
    for name in (str(uuid.UUID(int=7)), uuid.UUID(int=7).hex, uuid.UUID(int=7).hex.upper()):
        with pytest.raises(InvalidParams):
            check_name(name, Ownership.USER)


def test_only_users_have_folders_that_begin_with_a_dot() -> None:
    with pytest.raises(InvalidParams) as refused:
        check_name(".local", Ownership.PROJECT)
    assert "dot" in refused.value.facts["name"]
