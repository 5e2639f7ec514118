"""Uploads that are open count as if they were there: for the quota scope, and over restarts."""

import os
from pathlib import Path
from typing import Any

from backendai.storage.tokens import Purpose
from tests.running.rest import Answer
from tests.running.storage import VOLUME, StorageDaemon, running_storage
from tests.running.waiting import until

KIB = 1024


def order_limit(daemon: StorageDaemon, limit_bytes: int) -> None:
    answer = daemon.order(
        "PATCH",
        "/quota-scope",
        volume=VOLUME,
        qsid=str(daemon.folder.scope),
        options={"limit_bytes": limit_bytes},
    )
    assert answer.status == 204, answer


def drop(daemon: StorageDaemon, target: str) -> Answer:
    return daemon.ask("DELETE", target, Tus_Resumable="1.0.0")


def order_upload(daemon: StorageDaemon, **more: Any) -> Answer:
    body = {"volume": VOLUME, "vfid": str(daemon.folder), **more}
    return daemon.order("POST", "/folder/file/upload", **body)


def test_no_token_and_one_for_another_purpose(daemon: StorageDaemon) -> None:
    for token, status in (("", 401), (daemon.sign(Purpose.DOWNLOAD, "a"), 403)):
        answer = daemon.ask(
            "POST", f"/upload?token={token}", Tus_Resumable="1.0.0", Upload_Length="1"
        )
        assert answer.status == status


def test_many_open_uploads_do_not_pass_the_limit(own_daemon: StorageDaemon) -> None:
    daemon = own_daemon
    order_limit(daemon, 1000 * KIB)
    targets = [daemon.begin(f"{number}", 300 * KIB) for number in range(3)]
    refused = daemon.ask_upload("more", 300 * KIB)
    assert (refused.status, refused.problem) == (507, "insufficient-storage")
    assert refused.json()["data"] == {
        "usedBytes": 0,
        "openBytes": 900 * KIB,
        "limitBytes": 1000 * KIB,
        "wantedBytes": 300 * KIB,
    }
    assert order_upload(daemon, relpath="more", size=300 * KIB).status == 507
    # It counts once, however far it has come.
    data = os.urandom(300 * KIB)
    assert daemon.patch(targets[0], 0, data[: 100 * KIB]).status == 204
    assert daemon.ask_upload("more", 101 * KIB).status == 507
    assert daemon.patch(targets[0], 100 * KIB, data[100 * KIB :]).status == 204
    assert daemon.ask_upload("more", 101 * KIB).status == 507
    copy = daemon.order_file("copy", src_relpath="0", dst_relpath="copy")
    assert copy.status == 507
    daemon.kill()
    daemon.start()
    assert daemon.ask_upload("more", 101 * KIB).status == 507
    assert daemon.patch(targets[1], 0, data).status == 204
    assert drop(daemon, targets[2]).status == 204
    assert daemon.order_file("copy", src_relpath="0", dst_relpath="copy").status == 204
    assert daemon.ask_upload("more", 101 * KIB).status == 507
    assert daemon.ask_upload("more", 100 * KIB).status == 201
    assert sum(path.stat().st_size for path in daemon.top.iterdir()) == 900 * KIB


def test_what_was_cut_off_gives_way_to_the_same_sent_anew(tmp_path: Path) -> None:
    """Nobody else's does, and none that somebody still sends."""
    with running_storage(tmp_path, client="idle-timeout = 1") as daemon:
        order_limit(daemon, 1000)
        cut = daemon.begin("a", 900)
        assert daemon.patch(cut, 0, b"x" * 500).status == 204
        assert daemon.ask_upload("b", 900).status == 507
        until(lambda: daemon.ask_upload("a", 900).status == 201, "it gave way")
        assert daemon.ask("HEAD", cut).status == 404
        assert daemon.ask_upload("b", 900).status == 507


def test_expired_uploads_give_their_room_back(tmp_path: Path) -> None:
    with running_storage(tmp_path, more="token-lifetime = 60") as daemon:
        order_limit(daemon, 1000)
        daemon.begin("a", 900)
        assert daemon.ask_upload("b", 900).status == 507
        daemon.kill()
        [record] = daemon.volume.glob(".uploads/*/*.json")
        record.write_text(record.read_text().replace('"expires_at":"20', '"expires_at":"19'))
        daemon.start()
        until(lambda: daemon.ask_upload("b", 900).status == 201, "it is swept")
