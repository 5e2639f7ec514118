"""Runs what may hang for ever in a thread that keeps nobody: not even the process from ending."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def run_aside(function: Callable[[], T], name: str) -> "Future[T]":
    """The result to come. The thread is left to itself when nobody waits for it any more."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = function()
        except BaseException as error:
            # It belongs to whoever waits for the result.
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
