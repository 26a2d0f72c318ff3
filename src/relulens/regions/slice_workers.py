"""Work that divides into parts, done in turn or by threads, given in order."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Barrier, Event
from typing import Generic, TypeAlias, TypeVar

import torch

Found = TypeVar("Found")

_AHEAD = 8
"""Results a thread that may wait for the turn of an earlier one."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Outcome(Generic[Found]):
    """What a piece of work came to.

    Attributes:
        found: What was found.
        parts: What is left to do instead of a piece that was divided, in order.
    """

    found: Found
    parts: "Iterator[Callable[[], Outcome[Found]]] | None" = None


Task: TypeAlias = Callable[[], Outcome[Found]]


def in_turn(first: Task[Found]) -> Generator[Found, None, None]:
    """Do work and its parts one after another, and give what each finds.

    Args:
        first: The work.
    """
    levels = [iter([first])]
    while levels:
        task = next(levels[-1], None)
        if task is None:
            levels.pop()
            continue
        outcome = task()
        if outcome.parts is not None:
            levels.append(outcome.parts)
        yield outcome.found


def by_threads(
    first: Task[Found], threads: int, stop: Event
) -> Generator[Found, None, None]:
    """Do work and its parts in threads, and give what each finds as ``in_turn`` does.

    The earliest work that can be done is done first, so that few divided pieces are
    open at once and few results wait for their turn. An error is raised in its turn.

    Args:
        first: The work; torch takes one thread in each of it.
        threads: How many threads.
        stop: Set when the rest is not wanted, by an error or by closing the iterator;
            tasks look at it, and are waited for.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="relulens")
    try:
        _one_thread_each(pool, threads)
        queue: _Queue[Found] = _Queue(pool, threads, [iter([first])])
        while queue.line:
            queue.spread()
            queue.fill()
            done = queue.taken()
            if done is None:
                queue.wait()
            else:
                yield done.result().found
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _one_thread_each(pool: ThreadPoolExecutor, threads: int) -> None:
    """Let torch take one thread in every worker, and as many as before elsewhere."""
    before = torch.get_num_threads()
    barrier = Barrier(threads)

    def begin() -> None:
        torch.set_num_threads(1)
        barrier.wait()

    for started in [pool.submit(begin) for _ in range(threads)]:
        started.result()
    # What is set in one thread is also what threads to come begin with.
    torch.set_num_threads(before)


@dataclass(slots=True, eq=False)
class _Queue(Generic[Found]):
    """Work in order: what is running or done, and what is left of divided pieces.

    Attributes:
        pool: The threads.
        threads: How many they are.
        line: The order.
    """

    pool: ThreadPoolExecutor
    threads: int
    line: "list[Future[Outcome[Found]] | Iterator[Task[Found]]]"

    def spread(self) -> None:
        """Put the parts of pieces that were divided behind them."""
        spread: list[Future[Outcome[Found]] | Iterator[Task[Found]]] = []
        for item in self.line:
            parts = None
            if isinstance(item, Future) and item.done() and item.exception() is None:
                parts = item.result().parts
                if parts is not None:
                    item = _said(item.result().found)
            spread.append(item)
            if parts is not None:
                spread.append(parts)
        self.line = spread

    def fill(self) -> None:
        """Start the earliest work there is, one piece more than there are threads."""
        free = (
            self.threads
            + 1
            - sum(isinstance(item, Future) and not item.done() for item in self.line)
        )
        place = before = 0
        while place < len(self.line) and free > 0:
            item = self.line[place]
            if isinstance(item, Future):
                if item.done() and item.exception() is not None:
                    return
                before += 1
                place += 1
            elif before >= _AHEAD * self.threads:
                return
            elif (task := next(item, None)) is None:
                del self.line[place]
            else:
                self.line.insert(place, self.pool.submit(task))
                free -= 1

    def taken(self) -> "Future[Outcome[Found]] | None":
        """Take out the first in order, if it is done."""
        if self.line and isinstance(first := self.line[0], Future) and first.done():
            del self.line[0]
            return first
        return None

    def wait(self) -> None:
        """Wait until something running is done."""
        running = [i for i in self.line if isinstance(i, Future) and not i.done()]
        wait(running, return_when=FIRST_COMPLETED)


def _said(found: Found) -> "Future[Outcome[Found]]":
    """Return what a divided piece found, as done."""
    said: Future[Outcome[Found]] = Future()
    said.set_result(Outcome(found=found))
    return said
