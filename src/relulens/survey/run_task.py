"""Run one task: the pure function that every engine calls, here or elsewhere."""

import numpy as np

from relulens.errors import (
    InvalidArgumentError,
    NotPolyhedralError,
    RelulensError,
)
from relulens.survey.plan import Plan, Task
from relulens.survey.question import Answer, Batch, Question
from relulens.survey.shards import nothing, write_shard


def run_task(plan: Plan, task: Task) -> None:
    """Answer one task and write its shard; again does the same again.

    A row that fails alone is null with its reason, and the others are answered.

    Args:
        plan: The survey.
        task: The task.
    """
    question = plan.questions[task.question]
    rows = np.arange(task.start, task.stop)
    write_shard(plan, task, _answer(plan, question, rows))


def _answer(plan: Plan, question: Question, rows: np.ndarray) -> Answer:
    try:
        return question.run(
            plan.network, _batch(plan, question, rows), question.options
        )
    except (NotPolyhedralError, InvalidArgumentError) as error:
        return nothing(question, len(rows), f"refused: {error}")
    except RelulensError as error:
        if len(rows) == 1:
            return nothing(question, 1, f"failed: {error}")
    alone = [_answer(plan, question, rows[i : i + 1]) for i in range(len(rows))]
    return _joined(question, alone)


def _batch(plan: Plan, question: Question, rows: np.ndarray) -> Batch:
    inputs, items = rows // question.items, rows % question.items
    x = plan.network.as_input(plan.data.take(inputs), subject=plan.data.source)
    labels = None if plan.data.labels is None else plan.data.labels[inputs]
    return Batch(x=x, labels=labels, inputs=inputs, items=items)


def _joined(question: Question, answers: list[Answer]) -> Answer:
    columns = {
        column.name: np.ma.concatenate([
            answer.columns[column.name] for answer in answers
        ])
        for column in question.columns
    }
    status = tuple((answer.status or ("ok",))[0] for answer in answers)
    arrays = {
        f"{name}.{row}": array
        for row, answer in enumerate(answers)
        for name, array in answer.arrays.items()
    }
    return Answer(columns=columns, arrays=arrays, status=status)
