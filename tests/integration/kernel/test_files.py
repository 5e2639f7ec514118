"""Upload, download and listing through a real runner."""

import io
import os
import tarfile

import pytest

from backendai.kernel.peer import RunnerError
from backendai.kernel.wire import Ask, Download, ListFiles, Upload

from .conftest import Kernel


async def upload(kernel: Kernel, path: str, *pieces: bytes) -> None:
    offset = 0
    for number, piece in enumerate(pieces, 1):
        last = number == len(pieces)
        reply = await kernel.ask(Upload(path=path, offset=offset, data=piece, last=last))
        offset += len(piece)
        assert reply.offset == offset


async def download(kernel: Kernel, path: str) -> dict[str, bytes | None]:
    data, last = b"", False
    while not last:
        reply = await kernel.ask(Download(path=path, offset=len(data)))
        data, last = data + reply.data, reply.last
    assert len(data) == reply.total_bytes
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = [(member, archive.extractfile(member)) for member in archive]
        return {member.name: file.read() if file else None for member, file in files}


async def refuse(kernel: Kernel, request: Ask) -> str:
    with pytest.raises(RunnerError) as caught:
        await kernel.ask(request)
    return caught.value.code


async def test_a_file_in_pieces_appears_when_it_is_whole(kernel: Kernel) -> None:
    await kernel.ask(Upload(path="a/b/c.bin", offset=0, data=b"one", last=False))
    assert not (kernel.work_dir / "a/b/c.bin").exists()
    await kernel.ask(Upload(path="a/b/c.bin", offset=3, data=b"two", last=True))
    assert (kernel.work_dir / "a/b/c.bin").read_bytes() == b"onetwo"
    assert [path.name for path in (kernel.work_dir / "a/b").iterdir()] == ["c.bin"]


async def test_an_upload_goes_on_over_another_connection_and_refuses_gaps(kernel: Kernel) -> None:
    await kernel.ask(Upload(path="x", offset=0, data=b"12", last=False))
    await kernel.peer.close()
    wrong = Upload(path="x", offset=5, data=b"", last=True)
    assert await refuse(kernel, wrong) == "bad-offset"
    await kernel.ask(Upload(path="x", offset=2, data=b"3", last=True))
    assert (kernel.work_dir / "x").read_bytes() == b"123"


async def test_a_piece_whose_reply_was_lost_may_be_given_again(kernel: Kernel) -> None:
    pieces = [
        Upload(path="x", offset=0, data=b"12", last=False),
        Upload(path="x", offset=2, data=b"34", last=False),
        Upload(path="x", offset=4, data=b"56", last=True),
    ]
    for piece in pieces:
        first = await kernel.ask(piece)
        assert await kernel.ask(piece) == first
    assert (kernel.work_dir / "x").read_bytes() == b"123456"
    assert [path.name for path in kernel.work_dir.iterdir()] == ["x"]


async def test_another_piece_at_an_offset_that_was_given_is_refused(kernel: Kernel) -> None:
    await kernel.ask(Upload(path="x", offset=0, data=b"12", last=False))
    await kernel.ask(Upload(path="x", offset=2, data=b"34", last=False))
    for data, last in ((b"3x", False), (b"3", False), (b"345", False), (b"34", True)):
        assert (
            await refuse(kernel, Upload(path="x", offset=2, data=data, last=last)) == "bad-offset"
        )
    await kernel.ask(Upload(path="x", offset=4, data=b"56", last=True))
    assert await refuse(kernel, Upload(path="x", offset=4, data=b"5x", last=True)) == "bad-offset"
    (kernel.work_dir / "x").write_text("changed by the user")
    assert await refuse(kernel, Upload(path="x", offset=4, data=b"56", last=True)) == "bad-offset"


async def test_what_a_full_disk_cut_off_is_not_kept(kernel: Kernel) -> None:
    await kernel.ask(Upload(path="x", offset=0, data=b"12", last=False))
    (part,) = kernel.work_dir.iterdir()
    part.write_bytes(b"12half a pie")
    await kernel.ask(Upload(path="x", offset=2, data=b"34", last=True))
    assert (kernel.work_dir / "x").read_bytes() == b"1234"


async def test_a_large_file_comes_back_as_it_went(kernel: Kernel) -> None:
    data = os.urandom(5 * 1024 * 1024 + 7)
    await upload(kernel, "big", data[:4_000_000], data[4_000_000:])
    assert await download(kernel, "big") == {"big": data}


async def test_a_tree_comes_as_one_archive_without_links(kernel: Kernel) -> None:
    await upload(kernel, "t/deep/" + "n" * 150, b"long")
    await upload(kernel, "t/empty", b"")
    (kernel.work_dir / "t/link").symlink_to("/etc/passwd")
    (kernel.work_dir / "t/void").mkdir()
    found = await download(kernel, "t/")
    assert found == {
        "t": None,
        "t/deep": None,
        "t/void": None,
        "t/deep/" + "n" * 150: b"long",
        "t/empty": b"",
    }


async def test_an_absolute_path_below_the_work_directory_is_fine(kernel: Kernel) -> None:
    await upload(kernel, f"{kernel.work_dir}/abs", b"1")
    assert await download(kernel, f"{kernel.work_dir}/abs") == {"abs": b"1"}


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "out/x", ""])
async def test_no_path_leads_outside(kernel: Kernel, path: str) -> None:
    (kernel.work_dir / "out").symlink_to("/tmp")
    assert await refuse(kernel, Upload(path=path, offset=0, data=b"", last=True)) == "bad-path"
    assert await refuse(kernel, Download(path=path)) == "bad-path"
    assert await refuse(kernel, ListFiles(path=path)) == "bad-path"


async def test_a_link_to_the_outside_is_neither_read_nor_written_through(kernel: Kernel) -> None:
    outside = kernel.work_dir.parent / "outside"
    outside.write_text("secret")
    (kernel.work_dir / "link").symlink_to(outside)
    assert await refuse(kernel, Download(path="link")) == "bad-path"
    await upload(kernel, "link", b"mine")
    assert outside.read_text() == "secret"
    assert (kernel.work_dir / "link").read_bytes() == b"mine"


async def test_what_is_not_there_is_not_found(kernel: Kernel) -> None:
    assert await refuse(kernel, Download(path="nope")) == "not-found"
    assert await refuse(kernel, ListFiles(path="nope")) == "not-found"
    assert await refuse(kernel, Download(path="nope", offset=512)) == "download-expired"


async def test_a_folder_cannot_be_uploaded_over(kernel: Kernel) -> None:
    (kernel.work_dir / "d").mkdir()
    assert await refuse(kernel, Upload(path="d", offset=0, data=b"", last=True)) == "bad-path"


async def test_a_listing_shows_names_sizes_and_modes(kernel: Kernel) -> None:
    await upload(kernel, "f.txt", b"12345")
    (kernel.work_dir / "sub").mkdir(mode=0o755)
    reply = await kernel.ask(ListFiles(path="."))
    entries = {entry.filename: entry for entry in reply.entries}
    assert (entries["f.txt"].size, entries["f.txt"].mode) == (5, "-rw-r--r--")
    assert entries["sub"].mode == "drwxr-xr-x"
    assert (reply.abspath, reply.errors) == (str(kernel.work_dir), "")
    (one,) = (await kernel.ask(ListFiles(path="f.txt"))).entries
    assert one == entries["f.txt"]
