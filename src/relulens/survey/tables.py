"""Read the tables of a survey back, complete or not."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from relulens.survey.plan import Plan, Task
from relulens.survey.question import Question
from relulens.survey.shards import Shard, nothing, read_shard, schema, shard_table

_PANDAS = {
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(),
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Answers:
    """The answers to one question over a data set.

    Attributes:
        question: The question.
        table: A row per row of the question: ``input``, ``item``, its columns,
            ``status``; where a shard is missing, nulls and the reason.
        arrays: Per shard that is there, its large arrays by name.
        done: Rows that have been asked.
        reason: Why the others have not; empty if all have.
    """

    question: Question
    table: pd.DataFrame
    arrays: tuple[Mapping[str, np.ndarray], ...]
    done: int
    reason: str


def read_answers(plan: Plan, name: str, reason: str) -> Answers:
    """Return the answers to one question.

    Args:
        plan: The survey.
        name: The question's name.
        reason: What stands in the rows of missing shards.

    Raises:
        BrokenShardError: A shard was damaged after it had been checked.
    """
    question = plan.questions[name]
    tables: list[pa.Table] = []
    arrays: list[Mapping[str, np.ndarray]] = []
    done, total = 0, 0
    for task in plan.tasks(name):
        shard = read_shard(plan, task)
        total += task.stop - task.start
        if shard is not None:
            done += task.stop - task.start
            arrays.append(shard.arrays)
        tables.append(_table(question, task, shard, reason))
    whole = pa.concat_tables(tables) if tables else schema(question).empty_table()
    return Answers(
        question=question,
        table=whole.to_pandas(types_mapper=_PANDAS.get),
        arrays=tuple(arrays),
        done=done,
        reason="" if done == total else reason,
    )


def _table(
    question: Question, task: Task, shard: Shard | None, reason: str
) -> pa.Table:
    if shard is not None:
        return shard.table
    empty = nothing(question, task.stop - task.start, reason)
    return shard_table(question, task, empty)
