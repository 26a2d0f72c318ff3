"""Bounds on rounding, and sums of products without any."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

UNIT = 2.0**-53
_SPLIT = 2.0**27 + 1.0
_TINY, _HUGE = 1e-270, 1e270


def gamma(terms: int) -> float:
    """Return a bound on the relative error of a sum of so many products.

    It bounds ``|fl(a . b) - a . b| / (|a| . |b|)`` for any order of summation, with
    room for the rounding of the bound itself :cite:p:`higham2002accuracy`.
    """
    return 1.01 * (terms + 4) * UNIT


def _halves(a: Array) -> tuple[Array, Array]:
    scaled = _SPLIT * a
    high = scaled - (scaled - a)
    return high, a - high


def product_parts(a: Array, b: Array) -> Array:
    """Return numbers whose exact sum, entry by entry over the first axis, is ``a * b``.

    Valid while no product under- or overflows, see ``exact_dot``.
    """
    product = a * b
    (ah, al), (bh, bl) = _halves(a), _halves(b)
    error = ((ah * bh - product) + ah * bl + al * bh) + al * bl
    return np.stack([product, error])


def exact_dot(a: Array, b: Array, *, plus: Sequence[float] = ()) -> float:
    """Return the exact ``a . b + sum(plus)``, rounded once; its sign is exact.

    Cost:
        One pass in Python over the nonzero products.
    """
    both = (a != 0) & (b != 0)
    a, b = a[both], b[both]
    size = np.abs(a) * np.abs(b)
    ends = np.abs(np.concatenate([a, b]))
    if size.size and (size.min() < _TINY or ends.max() > _HUGE or size.max() > _HUGE):
        terms = (Fraction(x) * Fraction(y) for x, y in zip(a, b, strict=True))
        total = sum(terms, Fraction(0)) + sum(map(Fraction, plus), Fraction(0))
        return math.copysign(max(abs(float(total)), 5e-324), total) if total else 0.0
    return math.fsum([*product_parts(a, b).ravel().tolist(), *plus])
