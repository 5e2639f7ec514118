"""Query mode against a real runner: state, order of output, questions, interrupts, crashes."""

import asyncio
import base64
from pathlib import Path

import pytest

from backendai.kernel.peer import RunnerError
from backendai.kernel.runner.console import ABANDONED_SECONDS
from backendai.kernel.runner.runs import BUFFER_BYTES_MAX
from backendai.kernel.wire import Complete, Interrupt, Status

from .conftest import Kernel, StartKernel, text_of, wait_until

PICTURE = base64.b64encode(b"png").decode()


async def test_state_is_kept_between_runs(kernel: Kernel) -> None:
    await kernel.run("x = 40")
    assert text_of(await kernel.run("x + 2")) == "42\n"


async def test_output_comes_in_the_order_in_which_it_was_made(kernel: Kernel) -> None:
    code = """
import os, sys
class Rich:
    def _repr_html_(self): return "<b>"
class Picture:
    def _repr_png_(self): return b"png"
print("a")
print("b", file=sys.stderr)
display(Rich())
print("c")
os.system("echo d; echo e >&2")
display(Picture())
print("f")
"end"
"""
    (reply,) = await kernel.run(code)
    kinds = [item for item in reply.console if item != ("stderr", "e\n")]
    assert kinds == [
        ("stdout", "a\n"),
        ("stderr", "b\n"),
        ("html", "<b>"),
        ("stdout", "c\nd\n"),
        ("media", ("image/png", PICTURE)),
        ("stdout", "f\n'end'\n"),
    ]
    assert ("stderr", "e\n") in reply.console


async def test_no_tail_is_lost_when_a_program_prints_much(kernel: Kernel) -> None:
    code = "import subprocess\nsubprocess.run(['seq', '200000'])\nprint('tail')"
    text = text_of(await kernel.run(code))
    assert text.endswith("199999\n200000\ntail\n")
    assert len(text.split()) == 200_001


async def test_ten_megabytes_of_prints_arrive_whole(kernel: Kernel) -> None:
    replies = await kernel.run("for i in range(131072): print('%079d' % i)")
    lines = text_of(replies).splitlines()
    assert lines == [f"{i:079d}" for i in range(131072)]
    assert len(replies) > 5


BURST = "for i in range(20000): print(i)\n"
NUMBERS = "".join(f"{i}\n" for i in range(20000))


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess; subprocess.run(['echo', 'next'])",
        "import os; os.system('echo next')",
        "import os\nif os.fork() == 0:\n print('next'); os._exit(0)\nos.wait()",
        "import os; os.wait() if os.fork() else os.execv('/bin/echo', ['echo', 'next'])",
        "import os; os.waitpid(os.posix_spawn('/bin/echo', ['echo', 'next'], {}), 0)",
    ],
)
async def test_nothing_overtakes_a_burst_of_prints(kernel: Kernel, code: str) -> None:
    text = text_of(await kernel.run(f"{BURST}{code}\nprint('last')"))
    assert text == f"{NUMBERS}next\nlast\n"


@pytest.mark.parametrize(
    "code",
    ["import os; os._exit(3)", "import os; os.kill(os.getpid(), 9)", "import os; os.abort()"],
)
async def test_a_burst_before_a_sudden_end_is_seen(kernel: Kernel, code: str) -> None:
    assert text_of(await kernel.run(BURST + code)) == NUMBERS


async def test_bursts_of_both_streams_keep_their_order(kernel: Kernel) -> None:
    code = f"import sys\n{BURST}print('turn', file=sys.stderr)\n{BURST}"
    replies = await kernel.run(code)
    items = [item for reply in replies for item in reply.console]
    turn = items.index(("stderr", "turn\n"))
    assert "".join(str(text) for _, text in items[:turn]) == NUMBERS
    assert "".join(str(text) for _, text in items[turn + 1 :]) == NUMBERS


async def test_the_end_of_a_burst_is_seen_while_the_code_goes_on(kernel: Kernel) -> None:
    reply = await kernel.begin(
        BURST + "import time\nprint('last')\ntime.sleep(60)", flush_seconds=0
    )
    text = text_of([reply])
    while not text.endswith("last\n"):
        text += text_of([await kernel.go_on(reply.run_id, flush_seconds=0.05)])
    assert text == f"{NUMBERS}last\n"
    await kernel.ask(Interrupt())


async def test_unfetched_output_holds_the_program_up(kernel: Kernel) -> None:
    code = (
        "for i in range(4):\n open('%d' % i, 'w'); print('x' * 2**20)\nopen('done', 'w')\nprint(1)"
    )
    reply = await kernel.begin(code, flush_seconds=0)
    await wait_until(lambda: exists(kernel, "1"), "the program prints")
    status = await kernel.ask(Status())
    assert status.active_run == reply.run_id
    assert not (kernel.work_dir / "done").exists()
    rest = await kernel.run("", mode="continue", run_id=reply.run_id)
    assert len(text_of([reply, *rest])) == 4 * (2**20 + 1) + 2


async def exists(kernel: Kernel, name: str) -> bool:
    return (kernel.work_dir / name).exists()


async def test_exceptions_show_only_the_users_frames(kernel: Kernel) -> None:
    (reply,) = await kernel.run("def f():\n    1 / 0\n\nf()")
    text = text_of([reply], "stderr")
    assert reply.exit_code == 1
    assert "ZeroDivisionError" in text
    assert "    1 / 0\n" in text
    assert "repl.py" not in text


async def test_syntax_errors_point_at_the_line(kernel: Kernel) -> None:
    (reply,) = await kernel.run("a = 1\nb = (")
    text = text_of([reply], "stderr")
    assert "line 2" in text
    assert "ast.py" not in text


async def test_exit_ends_the_run_and_keeps_the_state(kernel: Kernel) -> None:
    (reply,) = await kernel.run("kept = 7\nexit(3)")
    assert (reply.status, reply.exit_code) == ("finished", 3)
    assert text_of(await kernel.run("kept")) == "7\n"


async def test_top_level_await_works(kernel: Kernel) -> None:
    assert text_of(await kernel.run("import asyncio\nawait asyncio.sleep(0, 'slept')")) == (
        "'slept'\n"
    )


async def test_input_and_getpass_ask(kernel: Kernel) -> None:
    code = "import getpass\nname = input('name? ')\nword = getpass.getpass()\nprint(name, word)"
    first = await kernel.begin(code)
    assert (first.status, first.options) == ("waiting-input", {"is_password": False})
    assert text_of([first]) == "name? "
    again = await kernel.go_on(first.run_id, flush_seconds=0)
    assert again.status == "waiting-input"
    second = await kernel.begin("ann", mode="input", run_id=first.run_id)
    assert (second.status, second.options) == ("waiting-input", {"is_password": True})
    third = await kernel.begin("secret", mode="input", run_id=first.run_id)
    assert (third.status, text_of([third])) == ("finished", "ann secret\n")


async def test_reading_stdin_asks(kernel: Kernel) -> None:
    reply = await kernel.begin("import sys\nfor line in sys.stdin:\n    print(line, end=''); break")
    assert reply.status == "waiting-input"
    end = await kernel.begin("typed", mode="input", run_id=reply.run_id)
    assert (end.status, text_of([end])) == ("finished", "typed\n")


async def test_input_that_nobody_asked_for_is_refused(kernel: Kernel) -> None:
    (reply,) = await kernel.run("1")
    with pytest.raises(RunnerError) as caught:
        await kernel.begin("text", mode="input", run_id=reply.run_id)
    assert caught.value.code == "not-waiting-input"


async def test_a_question_can_be_interrupted(kernel: Kernel) -> None:
    reply = await kernel.begin("input()")
    await kernel.ask(Interrupt())
    end = await kernel.go_on(reply.run_id)
    assert (end.status, end.exit_code) == ("finished", 130)
    assert text_of(await kernel.run("print('alive')")) == "alive\n"


async def test_an_endless_loop_is_interrupted(kernel: Kernel) -> None:
    reply = await kernel.begin("kept = 1\nwhile True: pass", flush_seconds=0)
    assert reply.status == "continued"
    assert (await kernel.ask(Interrupt())).interrupted
    end = await kernel.go_on(reply.run_id)
    assert (end.status, end.exit_code) == ("finished", 130)
    assert "KeyboardInterrupt" in text_of([end], "stderr")
    assert text_of(await kernel.run("kept")) == "1\n"


async def test_interrupt_reaches_subprocesses_and_blocked_prints(kernel: Kernel) -> None:
    reply = await kernel.begin(
        "import subprocess\nsubprocess.run(['sleep', '60'])", flush_seconds=0
    )
    await kernel.ask(Interrupt())
    assert (await kernel.go_on(reply.run_id)).exit_code == 130
    reply = await kernel.begin("while True: print('x' * 1000)", flush_seconds=0.2)
    await kernel.ask(Interrupt())
    replies = await kernel.run("", mode="continue", run_id=reply.run_id)
    assert replies[-1].exit_code == 130


async def test_a_flood_that_nobody_fetches_is_interrupted_at_once(kernel: Kernel) -> None:
    log = kernel.run_dir / "log" / "console.log"
    reply = await kernel.begin("kept = 1\nwhile True: print('x' * 100)", flush_seconds=0)
    await wait_until(lambda: is_held_up(log), "the run's buffer and the pipe are full")
    assert (await kernel.ask(Interrupt())).interrupted
    async with asyncio.timeout(ABANDONED_SECONDS / 2):
        assert text_of(await kernel.run("kept")) == "1\n"
    replies = await kernel.run("", mode="continue", run_id=reply.run_id)
    assert (replies[-1].status, replies[-1].exit_code) == ("finished", 130)


async def is_held_up(log: Path) -> bool:
    """Whether nothing more is taken from the pipe. A buffer of small items holds fewer bytes of
    output than its limit, as each item counts for more than its text.
    """
    size = size_of(log)
    await asyncio.sleep(0.3)
    return size > BUFFER_BYTES_MAX // 2 and size_of(log) == size


def size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


async def test_functions_of_os_can_be_sent_to_other_processes(kernel: Kernel) -> None:
    code = (
        "import os, pickle, signal\n"
        "print(all(pickle.loads(pickle.dumps(one)) is one for one in\n"
        "    (os.system, os.kill, os.killpg, os._exit, signal.raise_signal)))\n"
        "print(os.execve in os.supports_fd)"
    )
    assert text_of(await kernel.run(code)) == "True\nTrue\n"


async def test_interrupt_of_nothing_says_so(kernel: Kernel) -> None:
    assert not (await kernel.ask(Interrupt())).interrupted


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        ("import os; print('last'); os._exit(3)", 3, "exit code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137, "signal 9"),
        ("import os; os.closerange(3, 100); import time; time.sleep(60)", 137, "signal 9"),
        (
            "import os\nfor n in range(3, 30):\n try: os.write(n, b'x' * 99)\n except OSError: 0",
            137,
            "9",
        ),
    ],
)
async def test_a_crash_is_told_and_a_fresh_process_comes(
    kernel: Kernel, code: str, exit_code: int, said: str
) -> None:
    await kernel.run("kept = 1")
    reply = (await kernel.run(code))[-1]
    assert (reply.status, reply.exit_code) == ("finished", exit_code)
    assert said in text_of([reply], "stderr")
    assert "is lost" in text_of([reply], "stderr")
    assert "NameError" in text_of(await kernel.run("kept"), "stderr")


async def test_a_crash_between_runs_is_told_in_the_next(kernel: Kernel) -> None:
    code = "import threading, os\nthreading.Timer(0.05, os._exit, [5]).start()"
    await kernel.run(code)
    await wait_until(lambda: is_repl_gone(kernel), "the process ends")
    replies = await kernel.run("print(1)")
    assert "exit code 5" in text_of(replies, "stderr")
    assert text_of(replies) == "1\n"


async def is_repl_gone(kernel: Kernel) -> bool:
    return not (await kernel.ask(Status())).query_ready


async def test_a_fork_that_runs_past_its_snippet_does_no_harm(kernel: Kernel) -> None:
    await kernel.run("import os\npid = os.fork()")
    assert text_of(await kernel.run("print(pid > 0)")) == "True\n"


async def test_completion_knows_live_objects(kernel: Kernel) -> None:
    await kernel.run("class Car:\n    wheels = 4\ncar = Car()")
    reply = await kernel.ask(Complete(code="car.wh", line="car.wh", col=6))
    assert reply.completions == ["car.wheels"]
    reply = await kernel.ask(Complete(code="x = 1\ncar.", row=1, col=4))
    assert "car.wheels" in reply.completions
    assert (await kernel.ask(Complete(code="nothing.here"))).completions == []


async def test_a_second_query_waits_for_the_first(kernel: Kernel) -> None:
    first = await kernel.begin("import time\ntime.sleep(0.3); print('one')", flush_seconds=0)
    second = await kernel.begin("print('two')", flush_seconds=0)
    assert (await kernel.ask(Status())).queued_runs == 1
    two, one = await asyncio.gather(kernel.go_on(second.run_id), kernel.go_on(first.run_id))
    assert (text_of([one]), text_of([two])) == ("one\n", "two\n")


async def test_user_code_inherits_no_descriptor_of_the_runner(kernel: Kernel) -> None:
    code = """
import os
links = {}
for number in os.listdir('/proc/self/fd'):
    try: links[int(number)] = os.readlink('/proc/self/fd/' + number)
    except OSError: pass
sorted(link.partition(':')[0] for number, link in links.items() if number > 2)
"""
    assert text_of(await kernel.run(code)) == "['socket']\n"
    assert text_of(await kernel.run("import os\nos.getcwd()")) == f"'{kernel.work_dir}'\n"


async def test_environ_and_runtime_path_come_from_the_setup(start_kernel: StartKernel) -> None:
    kernel = await start_kernel(environ={"COLOUR": "red"}, runtime_path="/usr/bin/python3")
    text = text_of(await kernel.run("import os, sys\nprint(os.environ['COLOUR'], sys.executable)"))
    assert text == "red /usr/bin/python3\n"


async def test_a_broken_interpreter_is_passed_over(
    start_kernel: StartKernel, tmp_path_factory: pytest.TempPathFactory
) -> None:
    broken = tmp_path_factory.mktemp("bin") / "python3"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    kernel = await start_kernel(runtime_path=str(broken))
    assert text_of(await kernel.run("1 + 1")) == "2\n"


async def test_a_run_over_its_time_is_ended(start_kernel: StartKernel) -> None:
    kernel = await start_kernel(exec_timeout_seconds=0.3)
    reply = (await kernel.run("while True: pass"))[-1]
    assert reply.status == "exec-timeout"
    assert text_of(await kernel.run("print('alive')")) == "alive\n"
