"""Whether chains of samples have mixed: split R-hat and the effective sample size."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Draws: TypeAlias = Float[NDArray[np.float64], "steps chains coordinates"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Mixing:
    """Diagnostics of several chains, one number a coordinate.

    Attributes:
        spread: Split R-hat: the spread of all over that within half chains, near one
            for mixed chains; NaN for a coordinate that does not move.
        effective: Number of independent draws that would tell as much about the mean.
    """

    spread: Float[NDArray[np.float64], " coordinates"]
    effective: Float[NDArray[np.float64], " coordinates"]


def mixing(draws: Draws) -> Mixing:
    r"""Return split R-hat and effective sample sizes.

    Chains are cut in halves of :math:`n` draws; with W the mean variance within and B/n
    that of their means, :math:`V = (n-1)W/n + B/n` and
    :math:`\hat R = \sqrt{V/W}`. The size is all draws over
    :math:`1 + 2\sum_t \rho_t`, :math:`\rho_t = 1 - (W - c_t)/V`, summed over pairs
    while these are positive and no larger than the pair before.

    Args:
        draws: At least four steps.
    """
    half = draws.shape[0] // 2
    split = np.concatenate([draws[:half], draws[draws.shape[0] - half :]], axis=1)
    means = split.mean(0)
    within = split.var(0, ddof=1).mean(0)
    whole = (half - 1) / half * within + means.var(0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(whole / within)
    total = half * split.shape[1]
    effective = np.array([
        _effective(split[:, :, j] - means[:, j], within[j], whole[j], total)
        for j in range(draws.shape[2])
    ])
    return Mixing(spread=spread, effective=effective)


def _effective(
    centred: NDArray[np.float64], within: float, whole: float, total: int
) -> float:
    """Return the size of one coordinate from its centred half chains [n, chains]."""
    if not whole > 0:
        return 0.0
    n = centred.shape[0]
    power = np.abs(np.fft.rfft(centred, n=2 * n, axis=0)) ** 2
    covariance = np.fft.irfft(power, axis=0)[:n].mean(1) / n
    correlation = 1 - (within - covariance) / whole
    correlation[0] = 1.0
    pairs = correlation[: n // 2 * 2].reshape(-1, 2).sum(1)
    stop = np.flatnonzero(pairs <= 0)
    pairs = pairs[: stop[0]] if stop.size else pairs
    time = 2 * float(np.minimum.accumulate(pairs).sum()) - 1
    return float(total / max(time, 1 / np.log10(max(total, 10))))
