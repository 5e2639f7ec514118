"""Each session command of the official client, with what it prints checked."""

import re
import uuid

import pytest

from tests.conformance.official import Official
from tests.running.rest import Api
from tests.running.sessions import (
    IMAGES,
    ask_graph,
    await_status,
    execute,
    find,
    list_live,
    logs,
    resources,
)
from tests.running.sessions import start as start_session
from tests.running.stack import Done
from tests.running.waiting import until

PYTHON = IMAGES["python"]
BUSYBOX = IMAGES["busybox"]
SMALL = ("-r", "cpu=1", "-r", "mem=128m")


@pytest.fixture
def session(api: Api) -> str:
    """The id of a running session called `conform`."""
    return start_session(api, "conform", config=resources())


def test_config_shows_who_asks_whom(official: Official) -> None:
    shown = official.ok("config")
    assert official.environ["BACKEND_ENDPOINT"] in shown
    assert official.environ["BACKEND_ACCESS_KEY"] in shown
    assert "v" in shown


def assert_empty_list(done: Done) -> None:
    """Into a pipe this client tells of an empty page by an exception of its own."""
    assert done.code == 1
    assert "NoItems" in done.both


def test_ps_lists_nothing_then_a_session(official: Official, api: Api) -> None:
    assert_empty_list(official("ps"))
    start_session(api, "listed-one", config=resources())
    assert "listed-one" in official.ok("ps")
    assert "RUNNING" in official.ok("ps", "--detail")
    assert "listed-one" in official.ok("ps", "-s", "RUNNING", "--name-only")
    assert "listed-one" not in official("ps", "--dead").both


def test_ps_filters_and_orders(official: Official, session: str) -> None:
    shown = official.ok(
        "ps", "-s", "ALL", "--filter", 'name == "conform"', "--order", "-created_at"
    )
    assert "conform" in shown
    assert_empty_list(official("ps", "-s", "ALL", "--filter", 'name == "nosuch-name"'))


def test_ps_as_json(official: Official, session: str) -> None:
    assert session in official.ok("--output", "json", "ps")


def test_run_prints_what_code_prints(official: Official) -> None:
    assert "42" in official.ok("run", *SMALL, "-c", "print(6*7)", PYTHON).split()


def test_run_keeps_state_between_two_snippets(official: Official) -> None:
    official.ok("run", *SMALL, "-t", "two-snippets", "-c", "x = 41", PYTHON)
    shown = official.ok("run", *SMALL, "-t", "two-snippets", "-c", "print(x + 1)", PYTHON)
    assert "42" in shown.split()


def test_run_asks_for_input(official: Official) -> None:
    code = "name = input('who? '); print('hello ' + name)"
    assert "hello Ada" in official.ok("run", *SMALL, "-c", code, PYTHON, typed="Ada\n")


def test_run_shows_errors_of_code(official: Official) -> None:
    assert "ZeroDivisionError" in official("run", *SMALL, "-c", "1/0", PYTHON).both


def test_run_builds_and_executes_a_program(official: Official) -> None:
    (official.folder / "main.sh").write_text("echo built > made.txt\n")
    (official.folder / "show.sh").write_text("cat made.txt; echo $((6 * 7))\n")
    shown = official.ok(
        *("run", *SMALL, "--clean", "echo cleaned", "--build", "sh main.sh"),
        *("--exec", "sh show.sh", PYTHON, "main.sh", "show.sh"),
    )
    assert "built" in shown.split()
    assert "42" in shown.split()


def test_run_in_an_image_without_python(official: Official) -> None:
    (official.folder / "hi.sh").write_text("echo hi from $(pwd)\n")
    assert "hi from /home/work" in official.ok("run", "--exec", "sh hi.sh", BUSYBOX, "hi.sh")


def test_run_gives_the_session_back(official: Official, api: Api) -> None:
    official.ok("run", *SMALL, "--rm", "-t", "given-back", "-c", "print(1)", PYTHON)
    until(lambda: not list_live(api), "the session has ended")


def test_run_gives_the_session_back_with_its_figures(official: Official, api: Api) -> None:
    official.ok("run", *SMALL, "--rm", "-s", "-c", "print(1)", PYTHON)
    until(lambda: not list_live(api), "the session has ended")


def test_create_interactive_with_variables_and_bootstrap(official: Official, api: Api) -> None:
    script = official.folder / "boot.sh"
    script.write_text("echo booted > /home/work/boot.txt\n")
    shown = official.ok(
        *("session", "create", "-t", "with-env", "-e", "GREETING=hallo", *SMALL),
        *("--bootstrap-script", str(script), "--resource-opts", "shmem=64m", PYTHON),
    )
    assert "ready" in shown
    code = "import os; print(os.environ['GREETING'])"
    assert execute(api, "with-env", code) == "hallo\n"
    reading = "print(open('/home/work/boot.txt').read().strip())"
    until(lambda: execute(api, "with-env", reading) == "booted\n", "the bootstrap script ran")


def test_create_again_reuses_or_refuses(official: Official, session: str) -> None:
    assert session in official.ok("session", "create", "-t", "conform", *SMALL, PYTHON)
    refused = official("session", "create", "-t", "conform", "--no-reuse", *SMALL, PYTHON)
    assert refused.code != 0
    assert session in refused.both


def test_create_batch_runs_its_command(official: Official, api: Api) -> None:
    official.ok(
        *("session", "create", "-t", "batch-one", "--type", "batch", "-c", "echo from batch"),
        *(*SMALL, PYTHON),
    )
    [session] = find_by_name(official, "batch-one")
    assert await_status(api, session, "TERMINATED")["result"] == "SUCCESS"
    assert "from batch" in official.ok("session", "logs", session)


def test_create_enqueue_only_returns_at_once(official: Official, api: Api) -> None:
    shown = official.ok("session", "create", "-t", "queued", "--enqueue-only", *SMALL, PYTHON)
    assert "enqueued" in shown
    [session] = find_by_name(official, "queued")
    await_status(api, session, "RUNNING")


def test_create_with_a_dependency_waits_for_it(official: Official, api: Api) -> None:
    batch = ("session", "create", "--type", "batch", "--enqueue-only", *SMALL)
    official.ok(*batch, "-t", "first-step", "-c", "sleep 2; date +%s%N", PYTHON)
    official.ok(*batch, "-t", "second-step", "-c", "date +%s%N", "--depends", "first-step", PYTHON)
    ids = [find_by_name(official, name)[0] for name in ("first-step", "second-step")]
    for session in ids:
        assert await_status(api, session, "TERMINATED")["result"] == "SUCCESS"
    first, second = (int(logs(api, session)) for session in ids)
    assert first < second


def test_create_with_an_unknown_image_says_so(official: Official, api: Api) -> None:
    done = official("session", "create", "-t", "no-image", "nosuch/image:1")
    assert "No such environment image" in done.both
    assert not list_live(api)


def test_create_a_cluster_on_one_node(official: Official, api: Api) -> None:
    small = ("-r", "cpu=1", "-r", "mem=64m")
    official.ok("session", "create", "-t", "cluster", "--cluster-size", "2", *small, PYTHON)
    assert "sub1" in execute(api, "cluster", "print(open('/etc/hosts').read())") or reaches(api)


def reaches(api: Api) -> bool:
    """The other member is known by its name."""
    code = "import socket; print(bool(socket.gethostbyname('sub1')))"
    return execute(api, "cluster", code) == "True\n"


def test_info_tells_about_the_session(official: Official, session: str) -> None:
    shown = official.ok("session", "info", session)
    assert "conform" in shown
    assert "RUNNING" in shown


def test_logs_are_what_was_printed(official: Official, session: str, api: Api) -> None:
    execute(api, session, "print('to be logged')")
    assert "to be logged" in official.ok("session", "logs", "conform")


def test_files_go_in_are_listed_and_come_back(official: Official, session: str, api: Api) -> None:
    (official.folder / "up.txt").write_text("carried\n")
    official.ok("session", "upload", "conform", "up.txt")
    assert execute(api, session, "print(open('up.txt').read(), end='')") == "carried\n"
    assert "up.txt" in official.ok("session", "ls", "conform", "/home/work")
    execute(api, session, "open('down.txt', 'w').write('brought')")
    official.ok("session", "download", "conform", "down.txt", "--dest", ".")
    assert (official.folder / "down.txt").read_text() == "brought"


def test_listing_what_is_not_there_fails(official: Official, session: str) -> None:
    assert official("session", "ls", "conform", "/home/work/nosuch").code == 1


def test_rename_gives_another_name(official: Official, session: str, api: Api) -> None:
    official.ok("session", "rename", "conform", "conform-new")
    assert find(api, session)["name"] == "conform-new"


def test_commit_makes_an_image(official: Official, session: str, api: Api) -> None:
    official.ok("session", "commit", "conform")

    def is_listed() -> bool:
        images = ask_graph(api, "{ images { name } }", {})["images"]
        return any(image["name"].endswith("/conform") for image in images)

    until(is_listed, "the image is listed")


def test_restart_gives_a_fresh_container_and_keeps_files(
    official: Official, session: str, api: Api
) -> None:
    execute(api, session, "x = 1; open('kept.txt', 'w').write('kept')")
    official.ok("session", "restart", "conform")
    await_status(api, session, "RUNNING")
    assert execute(api, session, "print('x' in globals())") == "False\n"
    assert execute(api, session, "print(open('kept.txt').read())") == "kept\n"


def test_events_are_shown_as_they_happen(official: Official, session: str, api: Api) -> None:
    with official.following("session", "events", "conform") as watched:

        def restart_until_seen() -> bool:
            # The stream has no word for "connected": what happens before that is not shown.
            api.ask("PATCH", f"/session/{session}")
            return any("kernel_started" in line or "session_started" in line for line in watched)

        until(restart_until_seen, "an event is shown")
        official.ok("session", "destroy", "conform")
        until(lambda: any("session_terminated" in line for line in watched), "the end is shown")


def test_status_history_has_times(official: Official, session: str) -> None:
    assert re.search(r"\d{4}-\d\d-\d\dT", official.ok("session", "status-history", "conform"))


def test_dependency_graph_is_shown(official: Official, session: str) -> None:
    assert "conform" in official.ok("session", "show-graph", "-t", "conform")


def test_destroy_ends_it(official: Official, session: str, api: Api) -> None:
    official.ok("session", "destroy", "conform")
    await_status(api, session, "TERMINATED")
    assert "conform" in official.ok("ps", "--dead")


def test_destroy_by_id_forced_with_figures(official: Official, session: str, api: Api) -> None:
    official.ok("session", "destroy", "-f", "-s", session)
    await_status(api, session, "TERMINATED")


def test_destroy_of_what_is_not_there_fails(official: Official) -> None:
    done = official("rm", "nosuch-session", str(uuid.uuid4()))
    assert done.code == 1
    assert "No such" in done.both


def test_apps_of_a_session_are_listed(official: Official, session: str) -> None:
    assert official("apps", "conform", "-l").code == 0


def find_by_name(official: Official, name: str) -> list[str]:
    """Ids of all sessions of that name, the ended ones too."""
    shown = official.ok("--output", "json", "ps", "-s", "ALL", "--filter", f'name == "{name}"')
    found = re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", shown)
    return list(dict.fromkeys(found))[:1]
