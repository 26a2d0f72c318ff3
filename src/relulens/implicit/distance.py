"""Certified bounds on the distance to the equilibrium, from a residual.

With ``r = |phi(A x + b) - x|`` and a matrix Q >= 0 for which ``|e| <= Q |e| + c r``
holds for the distance e, any v > 0 with ``s = v - Q v > 0`` gives
``|e| <= v max_j c_j r_j / s_j``.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from relulens.certificates.contraction import Contraction, carried_change
from relulens.certificates.magnitude import magnitude_product
from relulens.certificates.monotone import DiagonalLyapunov, MetzlerBound, loop_matrix
from relulens.certificates.rounding import UNIT, gamma
from relulens.implicit.gain_matrix import gain_matrix
from relulens.implicit.model import ImplicitModel
from relulens.implicit.perron import weights
from relulens.implicit.wellposedness import WellPosedness


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Distance:
    """What turns residuals into bounds on the distance to the equilibrium.

    Attributes:
        share: Factors [n] of the residual: ``c / s`` in the maximum norm, or the bound
            ``|e| <= share . r`` of a monotone model where ``euclidean``.
        reach: The vector v [n]; ones where ``euclidean``.
        euclidean: Whether a Euclidean norm of the residual is taken.
        shrink: A turn of Picard from x leaves at most this share of the bound.
        sums: Row sums of ``Γ |A|``, ``Γ |B|`` and ``Γ |a|``, for rounding.
    """

    share: Float[Tensor, " n"]
    reach: Float[Tensor, " n"]
    euclidean: bool
    shrink: float
    sums: tuple[Float[Tensor, " n"], Float[Tensor, " n"], Float[Tensor, " n"]]
    terms: int

    def rounding(
        self, state: Float[Tensor, "batch n"], x: Float[Tensor, "batch p"]
    ) -> Float[Tensor, "batch n"]:
        """Return how far the residual may be off by rounding in float64."""
        inner, outer, constant = self.sums
        size = state.abs().amax(1, keepdim=True) if state.shape[1] else state.sum(1)
        given = x.abs().amax(1, keepdim=True) if x.shape[1] else x.new_zeros(1)
        total = size * inner + given * outer + constant
        return gamma(self.terms) * total + 8 * UNIT * state.abs()

    def bound(self, residual: Float[Tensor, "batch n"]) -> Float[Tensor, " batch"]:
        """Return bounds on ``max_i |x_i - x*_i|`` for residuals, rounding included."""
        if residual.shape[1] == 0:
            return residual.new_zeros(residual.shape[0])
        scaled = residual * self.share
        if self.euclidean:
            largest = torch.linalg.vector_norm(scaled, dim=1)
        else:
            largest = scaled.amax(1) * self.reach.max()
        return largest * (1 + 1e-12)


def distance(model: ImplicitModel, proof: WellPosedness) -> Distance | None:
    """Return the bounds that a verdict's proof gives, or nothing.

    There are none where a block has no gain everywhere, even if it is in no loop.
    """
    if proof.domain is not None or model.phi.gains()[0] is None:
        return None
    return model.remembered("distance", lambda: _distance(model, proof))


def _distance(model: ImplicitModel, proof: WellPosedness) -> Distance | None:
    match proof.certificate:
        case Contraction() as certificate:
            return _of_contraction(model, certificate)
        case MetzlerBound() as certificate:
            return _of_metzler(model, certificate)
        case DiagonalLyapunov() as certificate:
            return _of_monotone(model, certificate)
        case _:
            return None


def _of_contraction(model: ImplicitModel, certificate: Contraction) -> Distance:
    v = certificate.vector.numpy()
    found = weights(gain_matrix(model, certificate.gain), 1.0)
    best: tuple[np.ndarray, np.ndarray] | None = None
    for candidate in (found, v):
        if candidate is None:
            continue
        carried = carried_change(certificate.A, certificate.gain, candidate)
        slack = (candidate - carried) * (1 - 4 * UNIT)
        if (slack > 0).all():
            best = candidate, slack
            break
    if best is None:
        best = v, v * (1 - certificate.factor)
    reach, slack = best
    factor = float(np.max(1 - slack / reach, initial=0.0)) * (1 + 8 * UNIT)
    return _made(model, 1 / slack, reach, min(factor, 1.0), euclidean=False)


def _of_metzler(model: ImplicitModel, certificate: MetzlerBound) -> Distance | None:
    slopes = certificate.steepest.numpy()
    matrix, radius = loop_matrix(certificate.A, torch.ones(model.n))
    size = slopes[:, None] * (np.abs(matrix) + radius)
    own = 1 - slopes * (np.diagonal(matrix) + np.diagonal(radius))
    if not (own > 0).all():
        return None
    loops = size / own[:, None] * (1 + 16 * UNIT)
    np.fill_diagonal(loops, 0.0)
    reach = weights(loops, 1.0)
    if reach is None:
        return None
    slack = reach - (loops @ reach) * (1 + 2 * gamma(reach.size))
    if not (slack > 0).all():
        return None
    share = np.maximum(1.0, 1 / own) * (1 + 8 * UNIT) / slack
    return _made(model, share, reach, 1.0, euclidean=False)


def _of_monotone(
    model: ImplicitModel, certificate: DiagonalLyapunov
) -> Distance | None:
    """Return ``|e| <= h |Λ A r| / m + |r|``, m the least eigenvalue over two."""
    matrix, radius = loop_matrix(certificate.A, certificate.steepest)
    slopes = certificate.steepest.numpy()
    if not (slopes > 0).all():
        return None
    scales = certificate.scales.numpy()
    n = scales.size
    half = scales[:, None] * (np.eye(n) - matrix)
    size = scales[:, None] * (np.eye(n) + np.abs(matrix))
    off = 4 * UNIT * size + scales[:, None] * radius
    whole = half + half.T
    lost = 2 * float((off + off.T).sum(1).max())
    lost += 4 * gamma(n + 2) * float(np.abs(np.diagonal(whole)).sum())
    least = 0.99 * float(np.linalg.eigvalsh(whole)[0])
    whole[np.diag_indices(n)] -= least
    try:
        np.linalg.cholesky(whole)
    except np.linalg.LinAlgError:
        return None
    if not least > lost:
        return None
    # A in terms of A diag(h), and two norms above the spectral one.
    weighted = scales[:, None] * (np.abs(matrix) + radius) / slopes
    between = float(weighted.sum(0).max() * weighted.sum(1).max()) ** 0.5
    norm = min(float(np.linalg.norm(weighted)), between) * (1 + gamma(n * n))
    factor = 1 + 2 * float(slopes.max()) * norm / (least - lost)
    return _made(
        model, np.full(n, factor * (1 + 1e-12)), np.ones(n), 1.0, euclidean=True
    )


def _made(
    model: ImplicitModel,
    share: np.ndarray,
    reach: np.ndarray,
    shrink: float,
    *,
    euclidean: bool,
) -> Distance:
    cpu = torch.device("cpu")
    wide = model.to(torch.float64, cpu)
    gain, _ = wide.phi.gains()

    def carried(vector: np.ndarray) -> Tensor:
        if gain is None:
            return torch.full((model.n,), torch.inf, dtype=torch.float64)
        return torch.from_numpy(magnitude_product(gain, vector))

    around = magnitude_product(wide.A, np.ones(model.n))
    given = magnitude_product(wide.B, np.ones(model.p))
    fans = [wide.A.fans()[0], wide.B.fans()[0]]
    return Distance(
        share=torch.from_numpy(share).to(model.device),
        reach=torch.from_numpy(reach).to(model.device),
        euclidean=euclidean,
        shrink=shrink,
        sums=(
            carried(around).to(model.device),
            carried(given).to(model.device),
            carried(wide.a.abs().numpy()).to(model.device),
        ),
        terms=sum(fans) + 8,
    )
