r"""What the reverse of a random layer gets wrong, predicted without a limit.

For standard normal W [n, m], :math:`\alpha = 2/(\rho n)` and :math:`t = \rho n`,
Stein's identity gives :math:`E[(W^\top x)_i | h] = h_i` exactly, and the variance
below. The errors after a threshold follow by taking :math:`(W^\top x)_i` as Gaussian.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.reversal.generative import check_keep


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Prediction:
    """Expected relative squared errors of the reverse of one layer.

    Attributes:
        deviation: Standard deviation of every entry of ``W^T x`` [N, m].
        linear: Expected ``|W^T x - h|^2 / |h|^2`` [N], exact.
        soft: The same for ``relu(W^T x - delta |h|)`` [N].
        hard: The same for ``W^T x`` where it exceeds ``delta |h|``, else zero [N].
        offset: ``delta |h|`` [N].
    """

    deviation: Float[Tensor, "batch m"]
    linear: Float[Tensor, " batch"]
    soft: Float[Tensor, " batch"]
    hard: Float[Tensor, " batch"]
    offset: Float[Tensor, " batch"]


def default_delta(kept: float, units: int) -> float:
    r"""Return :math:`\sqrt{2/t}\sqrt{2\ln m}`, seldom exceeded by m noisy units.

    Args:
        kept: Expected kept units t.
        units: Hidden units m.
    """
    return math.sqrt(2.0 / kept) * math.sqrt(2.0 * math.log(max(units, 2)))


def _cdf(z: Tensor) -> Tensor:
    return 0.5 * torch.erfc(-z / math.sqrt(2.0))


def _pdf(z: Tensor) -> Tensor:
    return torch.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def predicted_error(
    h: Float[Tensor, "batch m"],
    observed: int,
    *,
    keep: float = 1.0,
    recognition_keep: float = 1.0,
    delta: float | None = None,
) -> Prediction:
    r"""Return the errors that the reverse of a Gaussian layer makes on average.

    .. math:: Var (W^\top x)_i = (2\|h\|^2 + 4 h_i^2)/(\rho n) - h_i^2/n

    Args:
        h: Hidden layers [N, m], nonnegative.
        observed: Observed units n.
        keep: Share of observed units that the model keeps.
        recognition_keep: Share of observed units that recognition keeps.
        delta: Offset over the norm of h; ``default_delta`` if not given.

    Returns:
        The predictions.

    Raises:
        InvalidArgumentError: A share lies outside (0, 1], or a hidden layer is zero.
    """
    share = check_keep(keep) * check_keep(recognition_keep)
    h = h.to(torch.float64)
    energy = h.square().sum(1)
    if not bool((energy > 0).all()):
        raise InvalidArgumentError(
            f"cannot predict an error relative to h: {int((energy == 0).sum())} of"
            f" {h.shape[0]} hidden layers are zero. Leave them out."
        )
    kept = share * observed
    variance = (2 * energy[:, None] + 4 * h.square()) / kept - h.square() / observed
    deviation = variance.clamp(min=0).sqrt()
    chosen = default_delta(kept, h.shape[1]) if delta is None else delta
    offset = chosen * energy.sqrt()
    return Prediction(
        deviation=deviation,
        linear=variance.sum(1) / energy,
        soft=_soft_error(h, deviation, offset[:, None]).sum(1) / energy,
        hard=_hard_error(h, deviation, offset[:, None]).sum(1) / energy,
        offset=offset,
    )


def _soft_error(h: Tensor, s: Tensor, d: Tensor) -> Tensor:
    """Return ``E (relu(h + s g - d) - h)^2`` for a standard normal g."""
    c = (d - h) / s
    above = _cdf(-c)
    moments = s**2 * (above + c * _pdf(c)) - 2 * s * d * _pdf(c) + d**2 * above
    return moments + h**2 * _cdf(c)


def _hard_error(h: Tensor, s: Tensor, d: Tensor) -> Tensor:
    """Return ``E (u 1[u > d] - h)^2`` with ``u = h + s g`` for a standard normal g."""
    c = (d - h) / s
    return s**2 * (_cdf(-c) + c * _pdf(c)) + h**2 * _cdf(c)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LayerConditions:
    """How one layer of a generative model stands to the theorem.

    Attributes:
        observed: Units n that it generates.
        hidden: Units m that it is generated from.
        active: Nonzero hidden units k, expected for the layers in between.
        kept: Expected kept units t.
        density: k / t; the error is of this order.
        spread: t / k^2; the theorem asks for less than one.
        holds: Whether ``k < t < k^2`` and ``m < n``.
        warnings: What does not hold, in words.
        predicted: Expected relative squared error after the soft offset, or linear for
            a layer that is not sparse.
    """

    observed: int
    hidden: int
    active: float
    kept: float
    density: float
    spread: float
    holds: bool
    warnings: tuple[str, ...]
    predicted: float


def conditions(
    sizes: tuple[int, ...], active: int, keep: tuple[float, ...] | float = 1.0
) -> tuple[LayerConditions, ...]:
    """Return how every layer stands to the theorem of the source, observed layer first.

    One layer asks for ``k < rho n < k^2`` (Theorem 2.3 of the source, read from a
    note on it). A generated layer in between has about half its kept units active.

    Args:
        sizes: Units of every layer, the observed one first.
        active: Nonzero units of the top layer.
        keep: Share of kept units, one or one a layer.

    Returns:
        One value a weight matrix.

    Raises:
        InvalidArgumentError: ``active`` exceeds the top layer, or a share is outside
            (0, 1].
    """
    if not 1 <= active <= sizes[-1]:
        raise InvalidArgumentError(
            f"cannot check the conditions: {active} units shall be active, and the top"
            f" layer has {sizes[-1]}. Choose 1 to {sizes[-1]}."
        )
    count = len(sizes) - 1
    shares = [keep] * count if isinstance(keep, (int, float)) else list(keep)
    result: list[LayerConditions] = []
    k = float(active)
    for place in reversed(range(count)):
        share = check_keep(shares[place])
        result.append(_layer_conditions(sizes[place], sizes[place + 1], k, share))
        k = 0.5 * share * sizes[place]
    return tuple(reversed(result))


def _layer_conditions(n: int, m: int, k: float, share: float) -> LayerConditions:
    t = share * n
    warnings: list[str] = []
    if m >= n:
        warnings.append(f"m = {m} is not below n = {n}")
    if not k < t:
        warnings.append(f"k = {k:g} is not below t = {t:g}")
    if not t < k * k:
        warnings.append(f"t = {t:g} is not below k^2 = {k * k:g}")
    h = torch.zeros(1, m, dtype=torch.float64)
    h[0, : max(1, round(k))] = 1.0
    prediction = predicted_error(h, n, keep=share)
    best = min(float(prediction.soft), float(prediction.linear))
    return LayerConditions(
        observed=n,
        hidden=m,
        active=k,
        kept=t,
        density=k / t,
        spread=t / (k * k),
        holds=not warnings,
        warnings=tuple(warnings),
        predicted=best,
    )
