"""What a survey does, cut into tasks that anyone may run in any order."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from relulens.data.data_set import DataSet
from relulens.graph.network import Network
from relulens.survey.question import Question

SCHEMA = 1
"""Version of the files' layout; raised whenever it changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One shard's work: some rows of one question's table.

    Attributes:
        question: The question's name.
        part: Number of the shard.
        start: First row.
        stop: Row after the last.
    """

    question: str
    part: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Plan:
    """A survey: network, data, questions and where the answers go.

    Attributes:
        network: The network.
        network_sha256: Its fingerprint.
        data: The data set.
        questions: The questions by name, in the order in which they are asked.
        out: The folder of the answers.
        seed: Seed of everything random.
    """

    network: Network
    network_sha256: str
    data: DataSet
    questions: Mapping[str, Question]
    out: Path
    seed: int

    def tasks(self, name: str) -> Iterator[Task]:
        """Yield the tasks of one question, in order."""
        question = self.questions[name]
        total, size = question.rows(len(self.data)), question.rows_per_shard
        for part, start in enumerate(range(0, total, size)):
            stop = min(start + size, total)
            yield Task(question=name, part=part, start=start, stop=stop)

    def folder(self, name: str) -> Path:
        """Return the folder of one question's shards."""
        return self.out / name

    def identity(self) -> dict[str, object]:
        """Return what every answer depends on, whichever the question."""
        return {
            "schema": SCHEMA,
            "network_sha256": self.network_sha256,
            "data_sha256": self.data.sha256,
            "inputs": len(self.data),
            "seed": self.seed,
        }

    def described(self, name: str) -> dict[str, object]:
        """Return what one question's answers depend on beside that."""
        question = self.questions[name]
        return {
            "version": question.version,
            "columns": [f"{column.name} {column.type}" for column in question.columns],
            "rows_per_shard": question.rows_per_shard,
            "items": question.items,
            "inputs": question.inputs,
            "options": dict(question.options),
        }

    def config_sha256(self, name: str) -> str:
        """Return a hash of all that one question's answers depend on."""
        return sha256_of({**self.identity(), "question": name, **self.described(name)})


def sha256_of(value: Mapping[str, object]) -> str:
    """Return the hash of a value as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
