"""Shards: the answers to one task, on disk whole or not at all."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from relulens.survey.atomic import write_atomically
from relulens.survey.plan import Plan, Task
from relulens.survey.question import Answer, Column, Question

_TYPES = {
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}
_KEY = b"relulens"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Shard:
    """The answers to one task.

    Attributes:
        table: A row per row of the task: ``input``, ``item``, the columns, ``status``.
        arrays: The large arrays, by name.
    """

    table: pa.Table
    arrays: Mapping[str, np.ndarray]


class BrokenShardError(Exception):
    """A shard's files are incomplete, damaged or of another configuration."""


def table_path(plan: Plan, task: Task) -> Path:
    """Return where a task's table is; it is there only if the task is done."""
    return plan.folder(task.question) / f"part-{task.part:05d}.parquet"


def schema(question: Question) -> pa.Schema:
    """Return the columns of a question's table with their types."""
    own = [pa.field(column.name, _TYPES[column.type]) for column in question.columns]
    return pa.schema([
        pa.field("input", pa.int64()),
        pa.field("item", pa.int64()),
        *own,
        pa.field("status", pa.string()),
    ])


def write_shard(plan: Plan, task: Task, answer: Answer) -> None:
    """Write a task's answers; the table comes last and marks it as done.

    Args:
        plan: The survey.
        task: The task.
        answer: Its answers.
    """
    path = table_path(plan, task)
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "question": task.question,
        "rows": [task.start, task.stop],
        "config_sha256": plan.config_sha256(task.question),
        "arrays_sha256": _write_arrays(path, answer.arrays),
    }
    table = shard_table(plan.questions[task.question], task, answer)
    marked = table.replace_schema_metadata({_KEY: json.dumps(about)})
    write_atomically(
        path, lambda place: pq.write_table(marked, place, write_page_checksum=True)
    )


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> str | None:
    if not arrays:
        return None
    side_car = path.with_suffix(".safetensors")
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_atomically(side_car, lambda place: save_file(plain, place))
    return hashlib.sha256(side_car.read_bytes()).hexdigest()


def shard_table(question: Question, task: Task, answer: Answer) -> pa.Table:
    """Return the rows of one task with their keys and status."""
    rows = np.arange(task.start, task.stop)
    status = answer.status or ("ok",) * len(rows)
    arrays = [
        pa.array(rows // question.items),
        pa.array(rows % question.items),
        *(_arrow(column, answer.columns[column.name]) for column in question.columns),
        pa.array(status, pa.string()),
    ]
    return pa.Table.from_arrays(arrays, schema=schema(question))


def _arrow(column: Column, values: np.ndarray) -> pa.Array:
    plain = np.ma.getdata(values)
    null = np.ma.getmaskarray(values) | pd.isna(plain)
    return pa.array(plain, _TYPES[column.type], mask=null)


def nothing(question: Question, rows: int, reason: str) -> Answer:
    """Return an answer of nulls with the reason in every row."""
    empty = {
        column.name: np.ma.masked_all(rows, dtype=_EMPTY[column.type])
        for column in question.columns
    }
    return Answer(columns=empty, status=(reason,) * rows)


_EMPTY: dict[str, type] = {"float": float, "int": int, "bool": bool, "string": object}


def read_shard(plan: Plan, task: Task) -> Shard | None:
    """Return a task's answers, or nothing if it is not done.

    Raises:
        BrokenShardError: The files are damaged, incomplete or of another configuration.
    """
    path = table_path(plan, task)
    if not path.exists():
        return None
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        about = json.loads((table.schema.metadata or {}).get(_KEY, b"{}"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BrokenShardError(f"{path.name} cannot be read: {error}") from error
    _check(plan, task, path, table, about)
    arrays = _read_arrays(path, about.get("arrays_sha256"))
    return Shard(table=table.replace_schema_metadata(None), arrays=arrays)


def _check(
    plan: Plan, task: Task, path: Path, table: pa.Table, about: Mapping[str, object]
) -> None:
    wanted = plan.config_sha256(task.question)
    if about.get("config_sha256") != wanted:
        found = about.get("config_sha256")
        raise BrokenShardError(f"{path.name} belongs to {found}, not to {wanted}")
    rows = [task.start, task.stop]
    if about.get("rows") != rows or table.num_rows != task.stop - task.start:
        raise BrokenShardError(
            f"{path.name} holds rows {about.get('rows')}, not {rows}"
        )
    if not table.schema.equals(schema(plan.questions[task.question])):
        raise BrokenShardError(f"{path.name} has other columns")


def _read_arrays(path: Path, sha256: object) -> Mapping[str, np.ndarray]:
    if sha256 is None:
        return {}
    side_car = path.with_suffix(".safetensors")
    try:
        if hashlib.sha256(side_car.read_bytes()).hexdigest() != sha256:
            raise BrokenShardError(f"{side_car.name} is not what its table says")
        return load_file(side_car)
    except (OSError, SafetensorError) as error:
        raise BrokenShardError(f"{side_car.name} cannot be read: {error}") from error
