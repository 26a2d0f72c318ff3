"""Progress on stderr: a bar in a terminal, JSON lines if asked, else nothing."""

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal, TypeAlias

import click

Mode: TypeAlias = Literal["auto", "json", "none"]
Report: TypeAlias = Callable[[int, int], None]

SECONDS_BETWEEN = 0.5


def announce(mode: Mode, text: str) -> None:
    """Say what begins, before the slow imports of a command.

    Args:
        mode: How progress is shown.
        text: What begins, as in ``"reading model.onnx"``.
    """
    if mode == "json":
        click.echo(json.dumps({"event": "begin", "what": text}), err=True)
    elif mode == "auto" and sys.stderr.isatty():
        click.echo(f"{text} …", err=True)


@contextmanager
def progress(mode: Mode, text: str) -> Iterator[Report]:
    """Give a function that is told how much is done, of how much.

    Args:
        mode: How progress is shown.
        text: What is counted.

    Yields:
        A function of two numbers, done and total.
    """
    with _interruption() as check:
        if mode == "json":
            yield check(_json_lines(text))
        elif mode == "auto" and sys.stderr.isatty():
            with _bar(text) as report:
                yield check(report)
        else:
            yield check(_nothing)


@contextmanager
def _interruption() -> Iterator[Callable[[Report], Report]]:
    """Give what makes a report end the run once Ctrl-C was pressed.

    An interrupt that arrives inside a callback of a library is printed and lost there;
    the next report raises it again.

    Yields:
        A function that wraps a report.
    """
    pressed = False
    earlier = signal.getsignal(signal.SIGINT)

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        if callable(earlier):
            earlier(number, frame)

    def check(report: Report) -> Report:
        def checked(done: int, total: int) -> None:
            if pressed:
                raise KeyboardInterrupt
            report(done, total)

        return checked

    # Jobs in the background of a script are started with interrupts ignored.
    ignored = earlier is signal.SIG_IGN
    if ignored or threading.current_thread() is not threading.main_thread():
        yield check
        return
    signal.signal(signal.SIGINT, remember)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, earlier)


def _nothing(done: int, total: int) -> None:
    """Take progress and show none."""
    del done, total


def _json_lines(text: str) -> Report:
    last = -SECONDS_BETWEEN

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN and done < total:
            return
        last = now
        line = {"event": "progress", "what": text, "done": done, "total": total}
        click.echo(json.dumps(line), err=True)

    return report


@contextmanager
def _bar(text: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield report
