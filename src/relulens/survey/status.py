"""How far the survey in a folder has come, read from its files alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relulens.survey.manifest import read_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionStatus:
    """How far one question has come.

    Attributes:
        name: The question.
        shards: Shards that are on disk.
        of_shards: Shards there will be.
        rows: Rows in these.
        of_rows: Rows there will be.
    """

    name: str
    shards: int
    of_shards: int
    rows: int
    of_rows: int

    @property
    def complete(self) -> bool:
        """Whether every row has been asked."""
        return self.shards == self.of_shards


def survey_status(folder: Path) -> list[QuestionStatus]:
    """Return how far every question has come; no shard is opened.

    Args:
        folder: The survey's folder, with ``manifest.json`` in it.

    Raises:
        OutputFolderError: It holds no manifest, or a damaged one.
    """
    manifest = read_manifest(folder)
    shards: dict[str, Any] = dict(manifest.shards)
    return [_question(folder / name, shards[name]) for name in manifest.questions]


def _question(folder: Path, rows: Sequence[Sequence[int]]) -> QuestionStatus:
    """Count the shards that are there: a table with its name is whole."""
    there = [
        (folder / f"part-{part:05d}.parquet").is_file() for part in range(len(rows))
    ]
    sizes = [stop - start for start, stop in rows]
    return QuestionStatus(
        name=folder.name,
        shards=sum(there),
        of_shards=len(rows),
        rows=sum(size for size, done in zip(sizes, there, strict=True) if done),
        of_rows=sum(sizes),
    )
