"""What the statistics of a truly Gaussian matrix reach, by seeded simulation."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from relulens.reversal.matrix_statistics import (
    MatrixStatistics,
    coherence_limit,
    matrix_statistics,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The range that a statistic of a Gaussian matrix stays in.

    Attributes:
        low: Lower end, minus infinity for a one-sided test.
        high: Upper end.
    """

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Tell whether a value lies in the band."""
        return self.low <= value <= self.high


SIMULATED_SIDE = 64
"""Shorter side up to which the matrix itself is simulated; larger ones are scaled."""


@lru_cache(maxsize=64)
def bands(rows: int, columns: int, alarm: float, seed: int) -> dict[str, Band]:
    r"""Return the band of every statistic for a Gaussian matrix of a size.

    Matrices whose shorter side is at most ``SIMULATED_SIDE`` are simulated as they are.
    Larger ones are simulated at that side with the same ratio, and the ends move with
    the known rates: :math:`N^{-1/2}` for entry statistics, with N entries, and the
    :math:`n^{-2/3}` of the Tracy-Widom law for the edges, n the shorter side. The
    spectrum's distance, of order log(n)/n, is scaled by :math:`n^{-2/3}` too, which is
    wider. Coherence has a bound of its own.

    Args:
        rows: Rows of the matrix.
        columns: Its columns.
        alarm: False-alarm rate of each statistic for a Gaussian matrix.
        seed: Seed of the simulation.

    Returns:
        Bands by the statistic's name.
    """
    shrink = max(1.0, min(rows, columns) / SIMULATED_SIDE)
    small = max(2, round(rows / shrink)), max(2, round(columns / shrink))
    count = math.ceil(3.0 / alarm)
    source = torch.Generator().manual_seed(seed)
    draws = [
        matrix_statistics(torch.randn(*small, generator=source, dtype=torch.float64))
        for _ in range(count)
    ]
    by_entries = math.sqrt(small[0] * small[1] / (rows * columns))
    by_edge = (min(small) / min(rows, columns)) ** (2 / 3)
    by_norm = math.sqrt(small[1] / columns)
    result = {
        "entries_distance": _upper(draws, "entries_distance", alarm, 0.0, by_entries),
        "kurtosis": _both(draws, "kurtosis", alarm, 0.0, by_entries),
        "spectrum_distance": _upper(draws, "spectrum_distance", alarm, 0.0, by_edge),
        "largest_over_edge": _both(draws, "largest_over_edge", alarm, 1.0, by_edge),
        "smallest_over_edge": _both(draws, "smallest_over_edge", alarm, 0.0, by_edge),
        "row_norm_variation": _both(draws, "row_norm_variation", alarm, 0.0, by_norm),
    }
    limit = coherence_limit(rows, columns, alarm)
    result["coherence"] = Band(low=-math.inf, high=limit)
    return result


def _sample(draws: list[MatrixStatistics], name: str) -> np.ndarray:
    return np.array([getattr(draw, name) for draw in draws], dtype=np.float64)


def _upper(
    draws: list[MatrixStatistics], name: str, alarm: float, centre: float, rate: float
) -> Band:
    high = float(np.quantile(_sample(draws, name), 1 - alarm, method="higher"))
    return Band(low=-math.inf, high=centre + (high - centre) * rate)


def _both(
    draws: list[MatrixStatistics], name: str, alarm: float, centre: float, rate: float
) -> Band:
    sample = _sample(draws, name)
    low = float(np.quantile(sample, alarm / 2, method="lower"))
    high = float(np.quantile(sample, 1 - alarm / 2, method="higher"))
    return Band(
        low=centre + (low - centre) * rate, high=centre + (high - centre) * rate
    )
