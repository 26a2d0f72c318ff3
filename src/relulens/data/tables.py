"""Read Parquet and CSV tables: numeric columns are features."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from relulens.data.source import Source
from relulens.errors import DataError

LABELS = ("label", "y", "target", "class")
"""Names that the label column goes by, in any case."""

NAMES = ("name", "id", "file", "filename")
"""Names that a column of row names goes by, in any case; it is never a feature."""


def read_table(path: Path, label: str | None = None) -> Source:
    """Return the numeric columns of a table as features, one row an input.

    Args:
        path: A ``.parquet`` or ``.csv`` file.
        label: The label column, if it is not called as they usually are.

    Raises:
        DataError: The file is broken, has no numeric column, or its label column is not
            clear.
    """
    table = _table(path)
    label_column = _label_column(path, table, label)
    name_column = next((c for c in table.column_names if c.lower() in NAMES), None)
    if name_column == label_column:
        name_column = None
    apart = {label_column, name_column}
    features = [
        field.name
        for field in table.schema
        if field.name not in apart and _numeric(field.type)
    ]
    if not features:
        raise DataError(
            f"cannot read {path}: 0 of its {table.num_columns} columns"
            f" ({_types(table)}) are numeric features. Store one number a column."
        )
    unused = [c for c in table.column_names if c not in {*features, *apart}]
    notes = (f"not used, not numeric: columns {', '.join(unused)}",) if unused else ()
    if name_column is not None:
        notes = (*notes, f"column {name_column} names the rows and is not a feature")
    return Source(
        rows=_matrix(table.select(features)),
        labels=None if label_column is None else _column(table, label_column),
        names=None if name_column is None else _column(table, name_column),
        title=f"{path.name} ({len(features)} numeric columns)",
        format="table",
        notes=notes,
    )


def _table(path: Path) -> pa.Table:
    try:
        if path.suffix.lower() == ".parquet":
            return pa_parquet.read_table(path)
        return pa_csv.read_csv(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"cannot read {path}: {error}. Is it a complete table with a header line?"
        ) from error


def _label_column(path: Path, table: pa.Table, label: str | None) -> str | None:
    if label is not None:
        if label in table.column_names:
            return label
        raise DataError(
            f"cannot read {path}: it has no column {label!r} among its"
            f" {table.num_columns} ({_types(table)}). Pass one of these as label."
        )
    found = [column for column in table.column_names if column.lower() in LABELS]
    if len(found) > 1:
        raise DataError(
            f"cannot read {path}: {len(found)} columns could be the label"
            f" ({', '.join(found)}), and 1 is needed. Say which: label=NAME (--label)."
        )
    return found[0] if found else None


def _numeric(kind: pa.DataType) -> bool:
    return (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
    )


def _types(table: pa.Table) -> str:
    shown = [f"{field.name} {field.type}" for field in table.schema][:12]
    return ", ".join(shown) + (", …" if table.num_columns > 12 else "")


def _matrix(table: pa.Table) -> np.ndarray:
    """Return the columns side by side, in one type that holds them all."""
    columns = [table.column(i).to_numpy() for i in range(table.num_columns)]
    return np.stack([np.asarray(column) for column in columns], axis=1)


def _column(table: pa.Table, name: str) -> np.ndarray:
    column = table.column(name)
    if column.null_count:
        raise DataError(
            f"cannot use column {name!r}: {column.null_count} of its {len(column)}"
            " values are missing. Fill them or remove those rows."
        )
    return np.asarray(column.to_numpy())
