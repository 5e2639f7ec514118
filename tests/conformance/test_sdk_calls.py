"""Calls of the official SDK that no command makes."""

import uuid

import pytest

from tests.conformance.official import Official
from tests.conformance.test_account_commands import (
    Ask,
    Command,
    ask,
    client,
    command,
    manager,
    module_dir,
    settings,
    word,
)
from tests.running.rest import Api
from tests.running.sessions import resources
from tests.running.sessions import start as start_session

__all__ = ["ask", "client", "command", "manager", "module_dir", "settings", "word"]

NEW = "n3w-Pass-word"
HERE = "session.ComputeSession('called-one')"
CURSOR = "{'row': 0, 'col': 3, 'line': 'pri', 'post': ''}"


def run(mode: str, code: str, run_id: str = "None", opts: str = "None") -> str:
    return f"{HERE}.execute({run_id}, {code!r}, mode={mode!r}, opts={opts})"


@pytest.fixture
def session(api: Api) -> str:
    return start_session(api, "called-one", config=resources())


def printed(result: dict[str, object]) -> str:
    console = result["console"]
    assert isinstance(console, list)
    return "".join(text for _, text in console)


def test_running_code_step_by_step(official: Official, session: str) -> None:
    asked = "found['asked']['runId']"
    found = official.sdk(
        execute_query=run("query", "print(1 + 1)"),
        asked=run("query", "print('hello ' + input('who? '))"),
        execute_input=run("input", "bob", asked),
        waited=run("query", "import time; time.sleep(4); print('woken')"),
        execute_continue=run("continue", "", "found['waited']['runId']"),
        execute_batch=run("batch", "", opts="{'build': 'echo built', 'exec': 'echo ran'}"),
    )
    assert found["execute query"]["status"] == "finished"
    assert printed(found["execute query"]) == "2\n"
    assert found["asked"]["status"] == "waiting-input"
    assert "hello bob" in printed(found["execute input"])
    assert found["waited"]["status"] == "continued"
    assert found["execute continue"]["runId"] == found["waited"]["runId"]
    assert found["execute batch"]["status"] in ("build-finished", "continued", "finished")


def test_asking_a_session(official: Official, session: str) -> None:
    (official.folder / "세션.txt").write_text("carried\n")
    key = official.environ["BACKEND_ACCESS_KEY"]
    stream = f"lambda s: s.ComputeSession.from_session_id(__import__('uuid').UUID('{session}'))"
    found = official.sdk(
        complete=f"{HERE}.complete('pri', {CURSOR})",
        execute_complete=f"{HERE}.execute(None, 'pri', mode='complete', opts={CURSOR})",
        interrupt=f"{HERE}.interrupt()",
        get_info=f"{HERE}.get_info()",
        owner_get_info=f"session.ComputeSession('called-one', {key!r}).get_info()",
        unicode_name="session.ComputeSession('세션 a/b?').get_info()",
        upload_unicode=f"{HERE}.upload(['세션.txt'])",
        uploaded=run("query", "print(open('세션.txt').read(), end='')"),
        app_info=f"{HERE}.stream_app_info()",
        hello="session.ComputeSession.hello()",
        versions="session.System.get_versions()",
        stream_execute_by_id=f"asyncio.run(first({stream}.stream_execute('print(6 * 7)')))",
    )
    assert "print" in found["complete"]["result"]["completions"]
    # It leaves out the mode, which the original refuses too.
    assert "400" in found["execute complete"]["failed"]
    assert found["interrupt"] is None
    assert found["get info"]["status"] == "RUNNING"
    assert found["owner get info"] == found["get info"] | {"age": found["owner get info"]["age"]}
    assert "404" in found["unicode name"]["failed"]
    assert printed(found["uploaded"]) == "carried\n"
    assert {"sshd"} <= {app["name"] for app in found["app info"]} or found["app info"] == []
    assert "manager" in found["hello"]
    assert found["versions"]["version"].startswith("v")
    assert "42" in found["stream execute by id"]


@pytest.mark.timeout(300)
async def test_accounts(ask: Ask, word: str) -> None:
    bob = "'bob@example.com'"
    found = await ask(
        authorize="session.User.authorize('bob@example.com', 'password of bob').content",
        user_list_v1="session.User.list()",
        user_detail_self="session.User.detail()",
        user_detail_by_uuid="session.User.detail_by_uuid(found['user detail self']['uuid'])",
        keypair_list_v1="session.KeyPair.list()",
        keypair_list_v1_user=f"session.KeyPair.list({bob})",
        keypair_create_bare=f"session.KeyPair.create({bob}, resource_policy='default')",
        keypair_info="session.KeyPair('AKROOT').info()",
        krp_info_None="session.KeypairResourcePolicy(session.config.access_key).info(None)",
        update_password=f"session.Auth.update_password('password of root', {NEW!r}, {NEW!r})",
        authorize_anew=f"session.User.authorize('root@example.com', {NEW!r}).content",
        restored=f"session.Auth.update_password({NEW!r}, 'password of root', 'password of root')",
        dotfile_owner_list="session.Dotfile.list_dotfiles(owner_access_key='AKALICE')",
    )
    assert found["authorize"]["access_key"] == "AKBOB"
    assert {"bob@example.com", "mallory@example.com"} <= {u["email"] for u in found["user list v1"]}
    assert found["user detail self"]["email"] == "root@example.com"
    assert found["user detail by uuid"] == found["user detail self"]
    assert {"AKBOB", "AKALICE"} <= {each["access_key"] for each in found["keypair list v1"]}
    assert [each["access_key"] for each in found["keypair list v1 user"]] == ["AKBOB"]
    assert found["keypair create bare"]["ok"] is True
    assert found["keypair info"]["access_key"] == "AKROOT"
    assert found["krp info None"]["name"] == "default"
    assert found["authorize anew"]["access_key"] == "AKROOT"
    assert found["dotfile owner list"] == []


@pytest.mark.timeout(300)
async def test_groups_and_where_they_may_run(ask: Ask, command: Command, word: str) -> None:
    await command(
        "admin", "scaling-group", "add", word, "--driver", "static", "--scheduler", "fifo"
    )
    gid = "found['group create']['group']['id']"
    available = f"[g['name'] for g in session.ScalingGroup.list_available({word!r})]"
    of_groups = "session.ScalingGroup"
    found = await ask(
        group_create=f"session.Group.create('default', {word!r})",
        sg_assoc_group=f"{of_groups}.associate_group({word!r}, {gid})",
        given=available,
        sg_dissoc_group=f"{of_groups}.dissociate_group({word!r}, {gid})",
        taken=available,
        again=f"{of_groups}.associate_group({word!r}, {gid})",
        sg_dissoc_all_group=f"{of_groups}.dissociate_all_group({gid})",
        all_taken=available,
        domain=f"session.Domain.create({word!r})",
        sg_dissoc_all_domain=f"{of_groups}.dissociate_all_domain({word!r})",
    )
    assert found["group create"]["group"]["name"] == word
    assert word in found["given"]
    assert word not in found["taken"]
    assert word not in found["all taken"]


@pytest.mark.timeout(300)
async def test_resources_and_tasks(ask: Ask) -> None:
    nowhere = str(uuid.UUID(int=1))
    found = await ask(
        resource_list="session.Resource.list()",
        resource_check="session.Resource.check_presets()",
        image_import_form="session.Image.get_image_import_form()",
        bgtask=f"asyncio.run(first(lambda s: s.BackgroundTask({nowhere!r}).listen_events()))",
    )
    assert [each["name"] for each in found["resource list"]["presets"]] == ["small"]
    assert found["resource check"]["presets"][0]["name"] == "small"
    assert "404" in found["image import form"]["failed"]
    assert "404" in found["bgtask"]["failed"]
