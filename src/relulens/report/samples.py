"""The table with a row per input."""

import numpy as np
import pandas as pd

from relulens.data.data_set import DataSet
from relulens.survey.survey import Survey


def samples_table(data: DataSet, found: Survey) -> pd.DataFrame:
    """Return the answers to all questions with one row an input, side by side.

    Columns are those of ``SAMPLE_COLUMNS`` whose questions were asked; the reason for
    nulls stands in ``<question>_status``.

    Args:
        data: The data set.
        found: The survey's answers.
    """
    count = len(data)
    names = [None] * count if data.names is None else list(data.names)
    labels = [None] * count if data.labels is None else data.labels.tolist()
    columns: dict[str, object] = {
        "row": np.asarray(data.index, dtype=np.int64),
        "name": pd.array(names, dtype=pd.StringDtype()),
        "label": pd.array(labels, dtype=pd.Int64Dtype()),
    }
    for name, answers in found.answers.items():
        question = answers.question
        if question.items != 1 or question.inputs is not None:
            continue
        for column in question.columns:
            columns.setdefault(column.name, answers.table[column.name].array)
        columns[f"{name}_status"] = answers.table["status"].array
    return pd.DataFrame(columns)
