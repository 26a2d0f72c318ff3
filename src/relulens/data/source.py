"""What a reader of one format gives."""

from dataclasses import dataclass

import numpy as np

from relulens.data.arrangement import Layout
from relulens.data.data_set import Rows


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Source:
    """Everything that was found in a file or folder, before rows are chosen.

    Attributes:
        rows: The inputs, a row each.
        labels: Their labels as they were found, numbers or words, or nothing.
        names: Their names, or nothing.
        title: What was read, in words.
        format: The format's name.
        recipe: Python that reads it again, up to the options.
        layout: Where the format itself says the channels are, if it does.
        notes: What a reader of results must know.
    """

    rows: Rows
    labels: np.ndarray | None = None
    names: np.ndarray | None = None
    title: str
    format: str
    recipe: str = ""
    layout: Layout | None = None
    notes: tuple[str, ...] = ()
