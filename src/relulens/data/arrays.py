"""Read ``.npz`` and ``.npy`` files."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from relulens.data.source import Source
from relulens.errors import DataError

PAIRS = (
    ("x", "y"),
    ("x_test", "y_test"),
    ("test_x", "test_y"),
    ("test_images", "test_labels"),
    ("images", "labels"),
    ("inputs", "labels"),
    ("inputs", "targets"),
    ("data", "labels"),
    ("data", "target"),
    ("features", "labels"),
    ("features", "target"),
)
"""Names that inputs and labels go by in ``.npz`` files, first choice first."""

_BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError)


def read_npy(path: Path) -> Source:
    """Return the one array of a ``.npy`` file, read row by row from the disk.

    Raises:
        DataError: The file is broken, or holds Python objects.
    """
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except _BROKEN as error:
        raise DataError(_unreadable(path, error)) from error
    return Source(rows=rows, title=path.name, format="npy")


def read_npz(path: Path, label: str | None = None) -> Source:
    """Return the inputs and labels of an ``.npz`` file.

    Args:
        path: The file.
        label: Name of the labels' array, if not one of the usual ones.

    Raises:
        DataError: The file is broken, holds Python objects, or no array in it has a
            name that inputs go by.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file):
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            by_lower = {key.lower(): key for key in archive.files}
            x_key, y_key = _keys(path, by_lower, archive, label)
            rows = archive[x_key]
            labels = None if y_key is None else archive[y_key]
            rest = sorted(set(archive.files) - {x_key, y_key})
    except _BROKEN as error:
        raise DataError(_unreadable(path, error)) from error
    notes = () if not rest else (f"not used: {', '.join(rest)} of {path.name}",)
    title = f"{path.name} ({x_key}{'' if y_key is None else f', {y_key}'})"
    return Source(rows=rows, labels=labels, title=title, format="npz", notes=notes)


def _keys(
    path: Path,
    by_lower: Mapping[str, str],
    archive: Mapping[str, np.ndarray],
    label: str | None,
) -> tuple[str, str | None]:
    if label is not None and label not in archive:
        raise _no_key(path, f"an array {label!r}", archive)
    for x_name, y_name in PAIRS:
        if x_name in by_lower and (y_name in by_lower or label is not None):
            return by_lower[x_name], label or by_lower[y_name]
    inputs = [by_lower[name] for name, _ in PAIRS if name in by_lower]
    if not inputs and len(by_lower) == 1:
        inputs = list(by_lower.values())
    if not inputs:
        raise _no_key(path, "an array called x", archive)
    return inputs[0], label


def _no_key(path: Path, wanted: str, archive: Mapping[str, np.ndarray]) -> DataError:
    found = ", ".join(f"{key} {list(archive[key].shape)}" for key in archive)
    return DataError(
        f"cannot read {path}: {wanted} is needed, and it holds {found or 'nothing'}."
        " Save the inputs as x and the labels as y: np.savez(path, x=x, y=y)."
    )


def _unreadable(path: Path, error: Exception) -> str:
    pickled = "pickle" in str(error).lower()
    fact = "it holds Python objects, which can run code" if pickled else f"{error}"
    advice = "Save plain arrays of numbers." if pickled else "Is the file complete?"
    return f"cannot read {path}: {fact.rstrip('.')}. {advice}"
