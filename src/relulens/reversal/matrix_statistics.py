"""Numbers that tell a weight matrix from one with independent Gaussian entries."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.reversal.marchenko_pastur import distribution, edges

STATISTICS = (
    "entries_distance",
    "kurtosis",
    "spectrum_distance",
    "largest_over_edge",
    "smallest_over_edge",
    "coherence",
    "row_norm_variation",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixStatistics:
    """Statistics of one matrix [units, inputs]; each has a known law if it is Gaussian.

    Attributes:
        rows: Units.
        columns: Inputs of a unit.
        mean: Mean of the entries.
        deviation: Standard deviation of the entries.
        skewness: Third standardised moment.
        kurtosis: Excess over a Gaussian's fourth standardised moment.
        entries_distance: Kolmogorov-Smirnov distance of the entries to a Gaussian with
            their mean and deviation.
        spectrum_distance: Kolmogorov-Smirnov distance of the singular values to the
            Marchenko-Pastur law.
        largest_over_edge: Largest singular value over the law's upper edge.
        smallest_over_edge: Distance of the smallest singular value below the lower
            edge,
            over the upper edge; positive where the matrix is too close to losing rank.
        outside: Share of singular values outside the law's edges.
        coherence: Largest absolute cosine of two rows.
        row_norm_variation: Standard deviation of the rows' norms over their mean.
    """

    rows: int
    columns: int
    mean: float
    deviation: float
    skewness: float
    kurtosis: float
    entries_distance: float
    spectrum_distance: float
    largest_over_edge: float
    smallest_over_edge: float
    outside: float
    coherence: float
    row_norm_variation: float


def singular_spectrum(matrix: Tensor) -> NDArray[np.float64]:
    """Return the singular values of the shorter side, largest first.

    They come from the Gram matrix and are accurate to about 1e-8 of the largest, which
    is far below any threshold here.
    """
    weight = matrix.detach().to(torch.float64)
    short = weight if weight.shape[0] <= weight.shape[1] else weight.T
    gram = short @ short.T
    values = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt().flip(0)
    return values.cpu().numpy().copy()


def _entries_distance(matrix: Tensor, mean: float, deviation: float) -> float:
    ordered = np.sort(matrix.reshape(-1).cpu().numpy())
    probability = ndtr((ordered - mean) / deviation)
    return _sorted_distance(probability)


def _sorted_distance(probability: NDArray[np.float64]) -> float:
    count = probability.size
    steps = np.arange(count + 1) / count
    return float(max(np.max(steps[1:] - probability), np.max(probability - steps[:-1])))


def coherence(matrix: Tensor, chunk: int = 1024) -> float:
    """Return the largest absolute cosine of two rows; zero rows take no part."""
    norms = matrix.norm(dim=1)
    rows = matrix[norms > 0] / norms[norms > 0, None]
    largest = 0.0
    for start in range(0, rows.shape[0], chunk):
        block = (rows[start : start + chunk] @ rows[start:].T).abs_()
        block.diagonal().zero_()
        if block.numel():
            largest = max(largest, float(block.max()))
    return largest


def matrix_statistics(
    matrix: Tensor, spectrum: NDArray[np.float64] | None = None
) -> MatrixStatistics:
    """Return the statistics of a matrix [units, inputs].

    Args:
        matrix: At least two by two, not constant.
        spectrum: Its singular values, largest first, if known already.

    Raises:
        InvalidArgumentError: The matrix is smaller, or all its entries are equal.

    Cost:
        A Gram matrix of the shorter side and its eigenvalues, and all products of rows.
    """
    weight = matrix.detach().to(torch.float64)
    rows, columns = weight.shape
    if min(rows, columns) < 2:
        raise InvalidArgumentError(
            f"cannot compare a matrix with a random one: it is {rows} by {columns},"
            " and 2 by 2 is the least. Leave this layer out."
        )
    mean = float(weight.mean())
    centred = weight - mean
    deviation = float(centred.square().mean().sqrt())
    if deviation == 0.0:
        raise InvalidArgumentError(
            f"cannot compare a matrix with a random one: its {weight.numel()} entries"
            f" are all {mean:g}, and 2 different ones are the least. Leave this layer"
            " out."
        )
    standard = centred / deviation
    values = singular_spectrum(weight) if spectrum is None else spectrum
    # Entries of a centred law: the second moment about zero scales the spectrum.
    scale = float(weight.square().mean().sqrt())
    low, high = edges(rows, columns, scale)
    law = distribution(values[::-1], rows, columns, scale)
    norms = weight.norm(dim=1)
    outside = float(np.mean((values > high) | (values < low)))
    return MatrixStatistics(
        rows=rows,
        columns=columns,
        mean=mean,
        deviation=deviation,
        skewness=float(standard.pow(3).mean()),
        kurtosis=float(standard.pow(4).mean()) - 3.0,
        entries_distance=_entries_distance(weight, mean, deviation),
        spectrum_distance=_sorted_distance(law),
        largest_over_edge=float(values[0]) / high,
        smallest_over_edge=(low - float(values[-1])) / high,
        outside=outside,
        coherence=coherence(weight),
        row_norm_variation=float(norms.std() / norms.mean()),
    )


def coherence_limit(rows: int, columns: int, alarm: float) -> float:
    """Return what a Gaussian matrix's coherence exceeds with rate ``alarm``.

    The squared cosine of two Gaussian rows has a Beta(1/2, (n-1)/2) law; the union
    bound over all pairs makes the false-alarm rate at most ``alarm``.

    Args:
        rows: Number of rows.
        columns: Their length n, at least two.
        alarm: The false-alarm rate.
    """
    pairs = rows * (rows - 1) / 2
    # P(cos^2 > c) = 1 - I_c(1/2, (n-1)/2) = I_{1-c}((n-1)/2, 1/2), exact for tiny
    # tails.
    tail = betaincinv((columns - 1) / 2, 0.5, min(alarm / max(pairs, 1.0), 1.0))
    return math.sqrt(max(0.0, 1.0 - tail))
