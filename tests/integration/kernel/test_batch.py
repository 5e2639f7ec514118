"""Batch runs (clean, build, exec) and what a kernel runs by itself (bootstrap, startup command)."""

import signal
from typing import Any

from backendai.kernel.wire import BatchOptions, ExecuteReply, HomeFile, Interrupt, Status

from .conftest import Kernel, StartKernel, text_of, wait_until

MAKEFILE = """main:
\tprintf '#!/bin/sh\\necho made\\n' > main && chmod +x main
clean:
\trm -f main && echo cleaned
"""


async def run_batch(kernel: Kernel, **commands: str) -> list[ExecuteReply]:
    return await kernel.run("", mode="batch", options=BatchOptions(**commands))


def stages_of(replies: list[ExecuteReply]) -> list[tuple[str, int | None]]:
    return [(reply.status, reply.exit_code) for reply in replies if reply.status != "continued"]


async def test_stages_end_one_after_another(kernel: Kernel) -> None:
    replies = await run_batch(kernel, clean="echo c", build="echo b >&2", exec="echo e; exit 4")
    assert stages_of(replies) == [("clean-finished", 0), ("build-finished", 0), ("finished", 4)]
    assert [text_of([reply]) for reply in replies] == ["c\n", "", "e\n"]
    assert text_of(replies, "stderr") == "b\n"


async def test_after_a_failed_build_nothing_is_executed(kernel: Kernel) -> None:
    replies = await run_batch(kernel, build="exit 2", exec="echo never")
    assert stages_of(replies) == [("build-finished", 2), ("finished", 127)]
    assert text_of(replies) == ""


async def test_stages_that_are_not_asked_for_are_skipped(kernel: Kernel) -> None:
    assert stages_of(await run_batch(kernel)) == [("finished", 0)]
    assert stages_of(await run_batch(kernel, clean="", exec="true")) == [("finished", 0)]


async def test_star_means_make_and_the_program_it_makes(kernel: Kernel) -> None:
    (kernel.work_dir / "Makefile").write_text(MAKEFILE)
    replies = await run_batch(kernel, clean="*", build="*", exec="*")
    assert stages_of(replies)[-1] == ("finished", 0)
    assert "exec: ./main\nmade\n" in text_of(replies)


async def test_star_without_anything_to_do_says_so(kernel: Kernel) -> None:
    replies = await run_batch(kernel, build="*", exec="*")
    assert stages_of(replies) == [("build-finished", 0), ("finished", 0)]
    assert "nothing to do" in text_of(replies)


async def test_a_stage_is_interrupted(kernel: Kernel) -> None:
    command = "exec python3 -c \"import time; open('up', 'w'); time.sleep(60)\""
    reply = await kernel.begin(
        "", mode="batch", options=BatchOptions(exec=command), flush_seconds=0
    )
    await wait_until(lambda: is_up(kernel), "the stage runs")
    assert (await kernel.ask(Interrupt())).interrupted
    end = await kernel.go_on(reply.run_id)
    assert (end.status, end.exit_code) == ("finished", 128 + signal.SIGINT)


async def test_a_fast_batch_session_leaves_its_exit_behind(start_kernel: StartKernel) -> None:
    kernel = await start_kernel(ready=False, session_type="batch", startup_command="true")
    assert await kernel.wait_for_exit() == 0
    assert (kernel.read_exit().exit_code, kernel.read_exit().reason) == (0, "finished")


async def test_a_batch_session_ends_with_the_code_of_its_command(start_kernel: StartKernel) -> None:
    command = "echo out; echo err >&2; echo $WORD; exit 9"
    kernel = await start_kernel(
        ready=False, session_type="batch", startup_command=command, environ={"WORD": "word"}
    )
    assert await kernel.wait_for_exit() == 9
    assert kernel.read_exit().exit_code == 9
    assert sorted(kernel.read_log().split()) == ["err", "out", "word"]


async def test_a_batch_command_killed_by_a_signal_says_which(start_kernel: StartKernel) -> None:
    kernel = await start_kernel(ready=False, session_type="batch", startup_command="kill -SEGV $$")
    assert await kernel.wait_for_exit() == 128 + signal.SIGSEGV


async def test_bootstrap_runs_before_everything(start_kernel: StartKernel) -> None:
    script = "echo booted; touch flag"
    kernel = await start_kernel(bootstrap_script=script)
    assert (kernel.work_dir / "flag").exists()
    assert "booted" in kernel.read_log()
    assert (await kernel.ask(Status())).bootstrap_exit_code == 0


async def test_a_failed_bootstrap_is_told_and_the_session_goes_on(
    start_kernel: StartKernel,
) -> None:
    kernel = await start_kernel(bootstrap_script="#!/bin/sh\nexit 6")
    status: Any = await kernel.ask(Status())
    assert status.bootstrap_exit_code == 6
    assert "exit code 6" in status.reason
    assert text_of(await kernel.run("1 + 1")) == "2\n"


async def test_files_are_there_before_the_bootstrap(start_kernel: StartKernel) -> None:
    """One that cannot be written is told, where the user looks too, and the session goes on."""
    files = [HomeFile(".app/word", "640", "sesame"), HomeFile("../word", "644", "secret")]
    kernel = await start_kernel(bootstrap_script="cat .app/word; exit 6", files=files)
    told = (
        "the dotfile ../word cannot be written: it is no path below the home",
        "the bootstrap script ended with exit code 6",
    )
    assert kernel.read_log() == f"{told[0]}\nsesame{told[1]}\n"
    status: Any = await kernel.ask(Status())
    assert (status.bootstrap_exit_code, status.reason) == (6, "; ".join(told))


async def test_sigterm_reaches_the_users_processes(start_kernel: StartKernel) -> None:
    command = "trap 'echo bye; exit 0' TERM; touch up; while :; do sleep 0.05; done"
    kernel = await start_kernel(ready=False, session_type="batch", startup_command=command)
    await wait_until(lambda: is_up(kernel), "the command runs")
    kernel.process.terminate()
    assert await kernel.wait_for_exit() == 128 + signal.SIGTERM
    assert kernel.read_exit().reason == "terminated"
    assert "bye" in kernel.read_log()


async def test_what_ignores_sigterm_is_killed_after_the_grace(start_kernel: StartKernel) -> None:
    command = "trap '' TERM; touch up; while :; do sleep 0.05; done"
    kernel = await start_kernel(
        ready=False, session_type="batch", startup_command=command, grace_seconds=0.2
    )
    await wait_until(lambda: is_up(kernel), "the command runs")
    kernel.process.terminate()
    assert await kernel.wait_for_exit() == 128 + signal.SIGTERM


async def is_up(kernel: Kernel) -> bool:
    return (kernel.work_dir / "up").exists()


async def test_a_setup_that_makes_no_sense_is_named(start_kernel: StartKernel) -> None:
    kernel = await start_kernel(ready=False, session_type="weird")
    assert await kernel.wait_for_exit() == 2
