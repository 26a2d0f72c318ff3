"""Ask questions of a whole data set, in shards that a re-run completes."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relulens.data.data_set import DataSet
from relulens.data.fitting import check_fits
from relulens.data.read import array_data
from relulens.errors import InvalidArgumentError
from relulens.graph.network import Network
from relulens.survey.atomic import remove_leftovers
from relulens.survey.catalogue import chosen_questions
from relulens.survey.engine import ENGINES, Engine, Limits
from relulens.survey.fingerprint import fingerprint
from relulens.survey.manifest import claim
from relulens.survey.plan import Plan, Task
from relulens.survey.question import Question
from relulens.survey.shards import BrokenShardError, read_shard
from relulens.survey.tables import Answers, read_answers
from relulens.survey.threads import thread_count

_LOG = logging.getLogger("relulens")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Survey:
    """The answers that a folder holds.

    Attributes:
        path: The folder.
        answers: Per question, its table and arrays.
        plan: What was asked of what.
        recomputed: Names of damaged files whose answers were computed again.
    """

    path: Path
    answers: Mapping[str, Answers]
    plan: Plan
    recomputed: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every row of every question has been asked."""
        return not any(answers.reason for answers in self.answers.values())

    def __repr__(self) -> str:
        """Return how far every question came, on one line."""
        parts = (f"{k} {a.done}/{len(a.table)}" for k, a in self.answers.items())
        return f"Survey({self.path}: {', '.join(parts)})"


def survey(
    network: Network,
    x: object,
    /,
    labels: object = None,
    *,
    out: str | Path,
    questions: Sequence[str | Question] | None = None,
    engine: str | Engine = "local",
    budget: float | None = None,
    budgets: Mapping[str, float] | None = None,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Survey:
    """Ask questions of every input, and keep the answers in a folder of shards.

    The same call on the same folder continues what was stopped, whatever stopped it,
    and ends with the same bits as if nothing had.

    Args:
        network: The network.
        x: Inputs [N, *input_shape], or a data set as ``read_data`` gives it.
        labels: Class numbers [N], if ``x`` is an array.
        out: The folder; it is made, or continued if it is this survey's.
        questions: Names of questions, or questions; those of the report by default.
        engine: ``"local"``, or an engine.
        budget: Seconds after which no shard is begun; what is left is null.
        budgets: The same for single questions, by name.
        seed: Seed of everything random.
        threads: Threads of one process; rounding may depend on it.
        progress: Called with rows answered and rows in all.

    Returns:
        The answers that there are.

    Raises:
        OutputFolderError: The folder holds other things, or answers about another
            network, other data or other options.
        InvalidArgumentError: There is no such question or engine.
        ShapeError: The inputs do not fit the network.
        DataError: Labels are out of range, or the inputs leave the domain.
        NotFiniteError: An input is NaN or infinite.

    Cost:
        The questions', and one hash of network and data.
    """
    data = _data(network, x, labels, seed)
    asked = chosen_questions(network, questions)
    plan = Plan(
        network=network,
        network_sha256=fingerprint(network),
        data=data,
        questions={question.name: question for question in asked},
        out=Path(out),
        seed=seed,
    )
    runner = _engine(engine)
    claim(plan)
    todo, recomputed = _left(plan)
    counted = _Counter(plan, todo, progress)
    limits = Limits(total=budget, each={} if budgets is None else budgets)
    with thread_count(threads):
        reasons = runner.run(plan, todo, limits, counted.add)
    answers = {
        name: read_answers(plan, name, reasons.get(name, "not done"))
        for name in plan.questions
    }
    return Survey(path=plan.out, answers=answers, plan=plan, recomputed=recomputed)


def _data(network: Network, x: object, labels: object, seed: int) -> DataSet:
    if not isinstance(x, DataSet):
        return array_data(x, labels, network, seed=seed)
    if labels is not None:
        raise InvalidArgumentError(
            "cannot take labels beside a data set: it brings its own. Leave them out."
        )
    check_fits(x, network)
    return x


def _engine(engine: str | Engine) -> Engine:
    if not isinstance(engine, str):
        return engine
    if engine not in ENGINES:
        raise InvalidArgumentError(
            f"cannot use engine {engine!r}: there are {len(ENGINES)}"
            f" ({', '.join(ENGINES)}). Choose one of these."
        )
    return ENGINES[engine]()


def _left(plan: Plan) -> tuple[list[Task], tuple[str, ...]]:
    """Return the tasks that are not done, and the damaged files among them."""
    todo: list[Task] = []
    damaged: list[str] = []
    remove_leftovers(plan.out)
    for name in plan.questions:
        remove_leftovers(plan.folder(name))
        for task in plan.tasks(name):
            try:
                shard = read_shard(plan, task)
            except BrokenShardError as error:
                _LOG.warning("answered again: %s", error)
                damaged.append(f"{name}: {error}")
                shard = None
            if shard is None:
                todo.append(task)
    return todo, tuple(damaged)


class _Counter:
    """Counts rows for the progress callback."""

    def __init__(
        self,
        plan: Plan,
        todo: Sequence[Task],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        rows = (len(plan.data), plan.questions.values())
        self._total = sum(question.rows(rows[0]) for question in rows[1])
        self._done = self._total - sum(task.stop - task.start for task in todo)
        self._progress = progress

    def add(self, task: Task) -> None:
        self._done += task.stop - task.start
        if self._progress is not None:
            self._progress(self._done, self._total)
