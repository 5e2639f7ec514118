"""Files in transit: forms up, tar parts down, and nothing outside of the destination."""

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.client.archive import pack_form, split_parts, unpack_parts
from backendai.client.faults import BadUsage, UnexpectedAnswer

TYPE = 'multipart/mixed; boundary="limit"'


def pack_tar(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name.replace("__", "/"))
            entry.size, entry.mode = len(content), 0o640
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def pack_link(name: str, target: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        archive.addfile(entry)
    return buffer.getvalue()


def join_parts(*parts: bytes) -> bytes:
    head = b"--limit\r\nContent-Type: application/x-tar\r\nContent-Encoding: identity\r\n\r\n"
    return b"".join(head + part + b"\r\n" for part in parts) + b"--limit--\r\n"


@given(st.lists(st.binary().filter(lambda part: b"--limit" not in part), max_size=4))
def test_parts_come_out_as_they_went_in(parts: list[bytes]) -> None:
    assert list(split_parts(TYPE, join_parts(*parts))) == parts


def test_a_body_without_parts_is_refused() -> None:
    with pytest.raises(UnexpectedAnswer, match="application/json"):
        list(split_parts("application/json", b"{}"))


def test_archives_are_written_below_the_destination(tmp_path: Path) -> None:
    body = join_parts(pack_tar(a=b"1\r\n2"), pack_tar(folder__b=b"\x00"))
    written = unpack_parts(TYPE, body, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == ["a", "folder/b"]
    assert (tmp_path / "a").read_bytes() == b"1\r\n2"
    assert (tmp_path / "folder/b").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["..__evil", "folder__..__..__evil", "__evil"])
def test_names_outside_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnexpectedAnswer, match="outside"):
        unpack_parts(TYPE, join_parts(pack_tar(**{name: b"x"})), tmp_path / "in")
    assert not (tmp_path / "evil").exists()


def test_a_link_is_not_made_so_nothing_is_written_through_it(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    body = join_parts(pack_link("door", str(tmp_path)), pack_tar(door__evil=b"x"))
    unpack_parts(TYPE, body, inside)
    assert not (tmp_path / "evil").exists()
    assert (inside / "door/evil").exists()


def test_what_is_no_archive_is_an_unexpected_answer(tmp_path: Path) -> None:
    with pytest.raises(UnexpectedAnswer, match="tar"):
        unpack_parts(TYPE, join_parts(b"no archive at all"), tmp_path)


def test_a_form_has_a_part_per_file_with_its_length(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    first, second = tmp_path / "a b.py", tmp_path / 'data/ü".csv'
    first.write_bytes(b"print()")
    second.write_bytes(b"")
    content_type, body = pack_form([first, second], tmp_path)
    assert content_type.startswith("multipart/form-data; boundary=")
    assert b'name="src"; filename="a b.py"' in body
    assert b"filename*=utf-8''data%2F%C3%BC%22.csv" in body
    assert b"Content-Length: 7\r\n\r\nprint()" in body


def test_a_file_outside_of_the_base_or_unreadable_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(BadUsage, match="not below"):
        pack_form([tmp_path / "a"], tmp_path / "in")
    with pytest.raises(BadUsage, match="Cannot read"):
        pack_form([tmp_path / "missing"], tmp_path)
