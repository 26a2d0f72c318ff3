"""The law of the singular values of large random matrices."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def edges(rows: int, columns: int, deviation: float = 1.0) -> tuple[float, float]:
    r"""Return the limits :math:`\sigma|\sqrt{n} \mp \sqrt{m}|` of the singular values.

    Args:
        rows: Rows n.
        columns: Columns m.
        deviation: Standard deviation of the entries.
    """
    long, short = math.sqrt(max(rows, columns)), math.sqrt(min(rows, columns))
    return deviation * (long - short), deviation * (long + short)


def distribution(
    values: NDArray[np.float64], rows: int, columns: int, deviation: float = 1.0
) -> NDArray[np.float64]:
    r"""Return the Marchenko-Pastur distribution function of singular values.

    With :math:`q = \min/\max \le 1` and eigenvalues
    :math:`\lambda = s^2/(\sigma^2\max)` the density is
    :math:`\sqrt{(b-\lambda)(\lambda-a)}/(2\pi q\lambda)` on
    :math:`[a, b] = [(1-\sqrt q)^2, (1+\sqrt q)^2]`. It is integrated in the angle
    :math:`\lambda = (a+b)/2 - (b-a)/2 \cos\theta`, where it is smooth.

    Args:
        values: Singular values, of the shorter side only.
        rows: Rows of the matrix.
        columns: Columns of the matrix.
        deviation: Standard deviation of the entries.

    Returns:
        Probabilities in [0, 1], shaped like ``values``.
    """
    long = max(rows, columns)
    eigenvalue, cumulative = _law(min(rows, columns) / long)
    scaled = np.asarray(values, dtype=np.float64) ** 2 / (deviation**2 * long)
    return np.interp(scaled, eigenvalue, cumulative, left=0.0, right=1.0)


@lru_cache(maxsize=64)
def _law(q: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return eigenvalues and the law's distribution function there."""
    a, b = (1 - math.sqrt(q)) ** 2, (1 + math.sqrt(q)) ** 2
    theta = np.linspace(0.0, math.pi, 4097)
    eigenvalue = 0.5 * (a + b) - 0.5 * (b - a) * np.cos(theta)
    sine = np.sin(theta)
    with np.errstate(divide="ignore", invalid="ignore"):
        density = (0.5 * (b - a) * sine) ** 2 / (2 * math.pi * q * eigenvalue)
    # At q = 1 the lower edge is zero, where the quotient has the limit (1 + cos)(b -
    # a).
    density = np.where(
        eigenvalue > 0, density, 0.25 * (b - a) * (1 + np.cos(theta)) / (math.pi * q)
    )
    step = theta[1] - theta[0]
    cumulative = np.concatenate([
        [0.0],
        np.cumsum(density[1:] + density[:-1]) * step / 2,
    ])
    return eigenvalue, cumulative / cumulative[-1]
