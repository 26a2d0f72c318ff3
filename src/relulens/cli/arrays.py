"""Write arrays with a row an input to ``.npz`` or Parquet, whole or not at all."""

import math
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from relulens.errors import InvalidArgumentError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Rows: TypeAlias = "Mapping[str, np.ndarray]"


def check_out(out: str, overwrite: bool) -> Path:
    """Return the path of an output file, if it may be written.

    Raises:
        InvalidArgumentError: The ending is another one, the folder is missing, or the
            file exists.
    """
    path = Path(out)
    if path.suffix not in {".npz", ".parquet"}:
        raise InvalidArgumentError(
            f"cannot write {path}: its ending is {path.suffix or 'missing'!r}, and"
            " '.npz' or '.parquet' is needed. Name the file by what it shall hold."
        )
    if not path.parent.is_dir():
        raise InvalidArgumentError(
            f"cannot write {path}: the folder {path.parent} is not there. Create it."
        )
    if path.exists() and not overwrite:
        raise InvalidArgumentError(
            f"cannot write {path}: it exists already. Name another file, or pass"
            " --overwrite."
        )
    return path


def write_rows(path: Path, batches: Iterable[Rows]) -> int:
    """Write batches of rows to a file, and return the number of rows.

    The file appears under its name when it is complete. Parquet is written batch by
    batch; ``.npz`` holds all rows in memory first.

    Args:
        path: Where to; the ending says in which format.
        batches: Arrays by name, each with as many rows as the others.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write = _write_npz if path.suffix == ".npz" else _write_parquet
        count = write(partial, batches)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _write_npz(path: Path, batches: Iterable[Rows]) -> int:
    import numpy as np

    parts = list(batches)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in joined.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, values, allow_pickle=False)
    return len(next(iter(joined.values())))


def _write_parquet(path: Path, batches: Iterable[Rows]) -> int:
    import pyarrow.parquet as pq

    rows = iter(batches)
    first = _table(next(rows))
    count = len(first)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for batch in rows:
            table = _table(batch)
            writer.write_table(table)
            count += len(table)
    return count


def _table(rows: Rows) -> "pa.Table":
    """Return rows as a table; an array of more axes is a column of flat lists."""
    import pyarrow as pa

    columns: dict[str, pa.Array] = {}
    shapes: dict[bytes, bytes] = {}
    for name, values in rows.items():
        if values.ndim == 1:
            columns[name] = pa.array(values)
        else:
            flat = pa.array(values.reshape(-1))
            size = math.prod(values.shape[1:])
            columns[name] = pa.FixedSizeListArray.from_arrays(flat, size)
            shapes[name.encode()] = str(list(values.shape[1:])).encode()
    return pa.table(columns).replace_schema_metadata(shapes)
