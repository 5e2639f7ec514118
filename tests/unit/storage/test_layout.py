import uuid

import pytest

from backendai.common.storage_faults import StorageInvalidParams
from backendai.storage.layout import parse_folder_id, parse_scope_id

OWNER = uuid.UUID("0f0e0d0c-0b0a-0908-0706-050403020100")
HEX = "ab" + "0" * 30


def test_a_folder_lies_below_its_quota_scope() -> None:
    folder = parse_folder_id(f"project:{OWNER}/{HEX}")
    assert str(folder.path) == f"project:{OWNER}/ab/{HEX}"
    assert str(folder) == f"project:{OWNER}/{HEX}"


def test_a_folder_without_a_quota_scope_is_refused_with_the_reason() -> None:
    with pytest.raises(StorageInvalidParams) as caught:
        parse_folder_id(HEX)
    assert "no quota scope" in str(caught.value.facts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "..",
        f"user:{OWNER}",
        f"user:{OWNER}/../{HEX}",
        f"user:{OWNER}/{HEX}/",
        f"user:{OWNER}/{HEX.upper()}",
        f"user:{OWNER}/{HEX}\n",
        f"group:{OWNER}/{HEX}",
        f"user:{str(OWNER).upper()}/{HEX}",
        f"user:{OWNER.hex}/{HEX}",
        f"user:{{{OWNER}}}/{HEX}",
    ],
)
def test_other_spellings_are_other_directories_and_are_refused(text: str) -> None:
    with pytest.raises(StorageInvalidParams):
        parse_folder_id(text)


@pytest.mark.parametrize("text", ["", "user:", f"user:{OWNER} ", f"User:{OWNER}", "user:1"])
def test_quota_scopes_have_one_spelling(text: str) -> None:
    with pytest.raises(StorageInvalidParams):
        parse_scope_id(text)
