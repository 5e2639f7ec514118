"""What the process is given and may be broken: its words, and streams that are closed or full."""

import os
import sys
from collections.abc import Sequence
from typing import Final

STREAMS: Final = (0, 1, 2)


def open_missing_streams() -> None:
    """Closed streams become the null device, before a socket takes their numbers; letters that a
    stream's encoding lacks are written as escapes."""
    missing = [number for number in STREAMS if not _is_open(number)]
    for number in missing:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
    if 0 in missing:
        sys.stdin = os.fdopen(0, "r", closefd=False)
    if 1 in missing:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if 2 in missing:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def check_words(words: Sequence[str]) -> None:
    """Raises UsageError for bytes that are no text in this locale: nothing could send them."""
    from click import UsageError

    for number, word in enumerate(words, start=1):
        if not word.isascii() and not _is_text(word):
            raise UsageError(
                f"Argument {number} ({word!a}) is no text in the encoding"
                f" {sys.getfilesystemencoding()}: write UTF-8."
            )


def flush_streams() -> bool:
    """Writes what is buffered. What cannot be written is dropped, so that the interpreter does not
    fail once more at its end; false then."""
    is_whole = True
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            is_whole = False
    return is_whole


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True
