"""The folder of a report: whose it is, and writing it so that nothing is half there."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from relulens.errors import OutputFolderError
from relulens.survey.atomic import remove_leftovers, write_atomically
from relulens.survey.manifest import NAME as MANIFEST

PAGE, SAMPLES, LAYERS = "index.html", "samples.parquet", "layers.parquet"
SUMMARY, SURVEY = "summary.json", "survey"
SCHEMA = "relulens report 1"
"""First entry of ``summary.json``; the number is raised whenever the layout changes."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Files:
    """What a report's folder holds beside the survey.

    Attributes:
        page: The page's HTML.
        samples: The table with a row per input.
        layers: The table with a row per layer.
        summary: What ``summary.json`` says.
    """

    page: str
    samples: pd.DataFrame
    layers: pd.DataFrame
    summary: Mapping[str, object]


def prepare(folder: Path, *, overwrite: bool) -> Path:
    """Make sure that a folder may become a report, and return its survey's folder.

    Args:
        folder: The folder; it need not exist.
        overwrite: Whether the report or survey in it is begun again; other files in it
            are left alone.

    Raises:
        OutputFolderError: It is a file, or holds other things than a report.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputFolderError(
            f"cannot write the report to {folder}: it is a file. Choose a folder."
        )
    inside = sorted(item.name for item in folder.glob("*"))
    if inside and not is_report(folder) and not overwrite:
        raise OutputFolderError(
            f"cannot write the report to {folder}: it holds {len(inside)} things"
            f" ({', '.join(inside[:5])}) and is no report. Choose another folder, or"
            " pass overwrite=True (--overwrite)."
        )
    survey = folder / SURVEY
    if overwrite and (survey / MANIFEST).exists():
        shutil.rmtree(survey)
    if overwrite:
        for name in (PAGE, SAMPLES, LAYERS, SUMMARY):
            (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    return survey


def is_report(folder: Path) -> bool:
    """Tell whether a folder holds a report, finished or begun."""
    if (folder / SURVEY / MANIFEST).exists():
        return True
    try:
        content = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("schema") == SCHEMA


def write_files(folder: Path, files: Files) -> None:
    """Write page and tables, each whole or not at all, the summary last."""
    write_atomically(
        folder / SAMPLES, lambda p: files.samples.to_parquet(p, index=False)
    )
    write_atomically(folder / LAYERS, lambda p: files.layers.to_parquet(p, index=False))
    write_atomically(folder / PAGE, lambda p: _put(p, files.page))
    text = json.dumps(files.summary, indent=1, allow_nan=False) + "\n"
    write_atomically(folder / SUMMARY, lambda p: _put(p, text))


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
