"""How much a batch of states changed, in one pass over them.

Numbers that are not negative are ordered as the integers with the same bits are, and
NaN is above all of them: maxima of these integers are vector instructions, and lose no
NaN.
"""

from typing import Any, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
Integers: TypeAlias = NDArray[np.signedinteger[Any]]


@njit(cache=True)
def by_rows(
    state: Floats, image: Floats, work: Floats, bits: Integers, tiny: float
) -> float:
    """Return the largest of ``max |image - state| / max |image|`` over the rows.

    Args:
        state: [N, n], row-major.
        image: The same.
        work: Working memory [2, n] of the same type.
        bits: The same memory as integers.
        tiny: Least size that is divided by.

    Returns:
        The ratio; infinite if a number is NaN.
    """
    batch, n = state.shape
    most = 0.0
    for r in range(batch):
        old, new = state[r], image[r]
        for j in range(n):
            work[0, j] = abs(new[j] - old[j])
            work[1, j] = abs(new[j])
        moved, size = bits[0, 0], bits[1, 0]
        for j in range(1, n):
            moved = max(moved, bits[0, j])
            size = max(size, bits[1, j])
        bits[0, 0], bits[1, 0] = moved, size
        ratio = work[0, 0] / max(work[1, 0], tiny)
        if ratio != ratio:
            return np.inf
        most = max(most, ratio)
    return most


@njit(cache=True)
def by_columns(
    state: Floats, image: Floats, work: Floats, bits: Integers, tiny: float
) -> float:
    """Return the same for states [n, N], row-major, one column an input.

    Args:
        state: [n, N], row-major.
        image: The same.
        work: Working memory [2, N] of the same type.
        bits: The same memory as integers; zeros at first.
        tiny: Least size that is divided by.
    """
    n, batch = state.shape
    step, value = np.empty(batch, state.dtype), np.empty(batch, state.dtype)
    step_bits, value_bits = step.view(bits.dtype), value.view(bits.dtype)
    for i in range(n):
        old, new = state[i], image[i]
        for c in range(batch):
            step[c] = abs(new[c] - old[c])
            value[c] = abs(new[c])
        for c in range(batch):
            bits[0, c] = max(bits[0, c], step_bits[c])
            bits[1, c] = max(bits[1, c], value_bits[c])
    most = 0.0
    for c in range(batch):
        ratio = work[0, c] / max(work[1, c], tiny)
        if ratio != ratio:
            return np.inf
        most = max(most, ratio)
    return most
