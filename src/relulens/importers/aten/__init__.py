"""Rules of ATen operations, one family a file; importing this registers all of them."""

from relulens.importers.aten import (
    arithmetic,
    elementwise,
    joining,
    normalisation,
    recurrent,
    reductions,
    shapes,
    windows,
)

__all__ = [
    "arithmetic",
    "elementwise",
    "joining",
    "normalisation",
    "recurrent",
    "reductions",
    "shapes",
    "windows",
]
