"""Engines: what runs the tasks of a survey, one after the other or on many machines."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from relulens.survey.plan import Plan, Task
from relulens.survey.run_task import run_task

_LOG = logging.getLogger("relulens")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Limits:
    """How long a survey may take.

    Attributes:
        total: Seconds for all questions, or no limit.
        each: Seconds for single questions, by name.
    """

    total: float | None = None
    each: Mapping[str, float] = field(default_factory=dict)


class Engine(Protocol):
    """Runs tasks. Only the files that they leave count, never what an engine says."""

    def run(
        self,
        plan: Plan,
        tasks: Sequence[Task],
        limits: Limits,
        finished: Callable[[Task], None],
    ) -> Mapping[str, str]:
        """Run tasks, and call ``finished`` after each, in the caller's thread.

        Args:
            plan: The survey.
            tasks: What is left to do, in the order in which it matters.
            limits: After these no task is begun.
            finished: Called with every task that was run.

        Returns:
            Per question that was not finished, the reason.
        """
        ...


@dataclass(slots=True)
class _Clock:
    """Tells whether another task of a question still fits."""

    limits: Limits
    begun: float
    spent: dict[str, float] = field(default_factory=dict)
    longest: dict[str, float] = field(default_factory=dict)

    def refusal(self, name: str) -> str | None:
        """Return why a question's next task must not begin, or nothing."""
        expected = self.longest.get(name, 0.0)
        total, each = self.limits.total, self.limits.each.get(name)
        used = time.monotonic() - self.begun
        if total is not None and (total <= 0 or used + expected > total):
            return f"not reached: the budget of {total:g} s"
        own = self.spent.get(name, 0.0)
        if each is not None and (each <= 0 or own + expected > each):
            return f"not reached: the {each:g} s that {name} may take"
        return None

    def note(self, name: str, seconds: float) -> None:
        """Remember how long a task took."""
        self.spent[name] = self.spent.get(name, 0.0) + seconds
        self.longest[name] = max(self.longest.get(name, 0.0), seconds)


class SerialEngine:
    """Runs one task after the other in this process."""

    def run(
        self,
        plan: Plan,
        tasks: Sequence[Task],
        limits: Limits,
        finished: Callable[[Task], None],
    ) -> Mapping[str, str]:
        """Run tasks in order; a question whose time is up is left out."""
        clock = _Clock(limits=limits, begun=time.monotonic())
        left: dict[str, str] = {}
        for task in tasks:
            reason = left.get(task.question) or clock.refusal(task.question)
            if reason is not None:
                left[task.question] = reason
                continue
            begun = time.monotonic()
            run_task(plan, task)
            clock.note(task.question, time.monotonic() - begun)
            _LOG.info("answered %s, part %d", task.question, task.part)
            finished(task)
        return left


ENGINES: dict[str, Callable[[], Engine]] = {"local": SerialEngine}
"""The engines by the name that ``survey`` takes."""
