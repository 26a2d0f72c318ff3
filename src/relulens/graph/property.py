"""A property of a network: boxes of inputs on which some outputs must not occur."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PropertyCase:
    """Inputs between two bounds whose outputs satisfy ``rows y <= right``.

    Attributes:
        low: Lowest inputs [p], flattened.
        high: Highest inputs [p].
        rows: Coefficients [k, q] of the flattened outputs; all k hold together.
        right: Right-hand sides [k].
    """

    low: Array
    high: Array
    rows: Array
    right: Array


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Property:
    """What must not happen: the property is violated if any case has an input.

    Attributes:
        cases: The cases.
        inputs: Number of inputs p.
        outputs: Number of outputs q.
        source: The file it was read from, or nothing.
    """

    cases: tuple[PropertyCase, ...]
    inputs: int
    outputs: int
    source: str | None = None

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        return (
            f"Property({self.inputs} inputs, {self.outputs} outputs,"
            f" {len(self.cases)} cases)"
        )
