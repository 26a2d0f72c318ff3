"""The table of what layers determine, with a row per input and layer."""

import pandas as pd

from relulens.survey.survey import Survey

QUESTIONS = ("preimage", "preimage_depth")


def preimages_table(found: Survey) -> pd.DataFrame:
    """Return the answers to both questions about pre-images, one under the other.

    Args:
        found: The survey's answers.

    Returns:
        The questions' columns, with ``input``, ``question`` and ``status``.
    """
    tables = [
        found.answers[name].table.assign(question=name)
        for name in QUESTIONS
        if name in found.answers and len(found.answers[name].table)
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
