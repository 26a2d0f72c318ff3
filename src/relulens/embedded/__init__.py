"""The small network that the package ships: a classifier of scikit-learn's digits.

``scripts/train_digits.py`` trains it. Its metadata say on what, and how accurate it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

CLASSES = tuple(str(digit) for digit in range(10))
"""Names of the classes, in the order of the logits."""

DOMAIN = (0.0, 16.0)
"""Lowest and highest pixel of the images that it was trained on."""


@contextmanager
def digits_model() -> Iterator[Path]:
    """Give the path of the embedded ONNX file while the block runs."""
    with as_file(files(__name__) / "digits.onnx") as path:
        yield path
