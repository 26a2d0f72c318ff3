"""One operation in one form, as a row of a table."""

from dataclasses import dataclass, field

import numpy as np
from importers.onnx.graphs import NEWEST

RNG = np.random.default_rng(1)


def draw(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


@dataclass(frozen=True)
class Case:
    name: str
    operation: str
    shape: tuple[int, ...]
    constants: tuple[np.ndarray | None, ...] = ()
    attributes: dict[str, object] = field(default_factory=dict)
    since: int = 7
    until: int = NEWEST
    first: bool = True
    positive: bool = False
    tolerance: float = 1e-10
    kind: str | None = None
    runtime: bool = False  # The reference evaluator has the operation wrong or not.


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def plain(
    operation: str,
    since: int = 7,
    until: int = NEWEST,
    tolerance: float = 1e-10,
    runtime: bool = False,
    **attributes: object,
) -> Case:
    words = "-".join([operation, *(f"{k}{v}" for k, v in attributes.items())])
    return Case(
        words,
        operation,
        (3, 4),
        attributes=attributes,
        since=since,
        until=until,
        tolerance=tolerance,
        runtime=runtime,
    )
