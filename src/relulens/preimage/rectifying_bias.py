"""Biases under which a ReLU layer stays injective on a ball or a sphere."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from relulens.certificates.rounding import Array
from relulens.errors import InvalidArgumentError, NotFiniteError
from relulens.numerics.least_squares import nonnegative_least_squares
from relulens.preimage.omnidirectionality import omnidirectionality

_FACETS = 200_000
"""Facets of a simple polytope in so many dimensions take minutes; then points do."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RectifyingBias:
    r"""Thresholds :math:`\alpha` for which the active rows span at every point.

    Attributes:
        alpha: :math:`x \mapsto \mathrm{relu}(Wx - \alpha)` is injective on the set for
            these and all smaller thresholds [rows]; infinite for rows never needed.
        exact: Whether every facet was looked at; else it is an estimate from random
            points, and larger than the truth at points that were missed.
        facets: Facets or points looked at.
        domain: ``"ball"`` or ``"sphere"``.
        radius: Of the ball or sphere, in the input's unit.
        reason: In words.
    """

    alpha: Float[Tensor, " rows"]
    exact: bool
    facets: int
    domain: Literal["ball", "sphere"]
    radius: float
    reason: str

    def __repr__(self) -> str:
        """Return what it rests on, on one line."""
        kind = "exact" if self.exact else "estimate"
        return (
            f"RectifyingBias({kind}, {self.domain} of radius {self.radius:g},"
            f" {self.facets} facets or points: {self.reason})"
        )


def rectifying_bias(
    W: object,
    /,
    *,
    domain: Literal["ball", "sphere"] = "ball",
    radius: float = 1.0,
    facets: int = _FACETS,
    points: int = 20_000,
    seed: int = 0,
) -> RectifyingBias:
    r"""Return thresholds under which a layer tells all points of a set apart.

    The cones over the facets of the convex hull of the unit rows cover the space if the
    rows are omnidirectional, and the rows of a facet are a basis. A row needs to be
    active on its facets' cones only, so that its threshold is the smallest
    :math:`\langle w, x\rangle` there: the smallest inner product with the facet's rows
    if none is negative, else minus the norm of the projection of -w onto the cone.

    Args:
        W: Rows [m, n].
        domain: ``"ball"`` or ``"sphere"``. On a sphere the layer is injective in the
            sense that active rows span; the theorem needs a convex or open set.
        radius: Of it.
        facets: Where more are to be expected, points are drawn instead.
        points: Random points of an estimate.
        seed: For these.

    Raises:
        InvalidArgumentError: W is not a matrix, has a zero row, or is not
            omnidirectional, so that the facets' cones do not cover the space.
        NotFiniteError: A number is NaN or infinite.

    Cost:
        A convex hull (n up to about 8), and one small least-squares problem for every
        facet's row with a negative inner product.
    """
    rows = _rows(W)
    size = np.linalg.norm(rows, axis=1)
    unit = rows / size[:, None]
    simplices = _facets(unit, facets)
    if simplices is None:
        alpha, count = _by_points(unit, points, seed), points
    else:
        alpha, count = _by_facets(unit, simplices), len(simplices)
    if domain == "ball":
        alpha = np.where(np.isfinite(alpha), np.minimum(alpha, 0.0), alpha)
    exact = simplices is not None
    reason = "facets of the convex hull" if exact else "random points, an estimate"
    return RectifyingBias(
        alpha=torch.from_numpy(alpha * size * radius),
        exact=exact,
        facets=count,
        domain=domain,
        radius=radius,
        reason=reason,
    )


def _rows(W: object) -> Array:
    held = torch.as_tensor(W).detach().cpu().to(torch.float64)
    if held.ndim != 2 or not bool((held != 0).any(1).all()) or held.shape[1] == 0:
        raise InvalidArgumentError(
            f"cannot find rectifying biases: W is {list(held.shape)}, and a matrix"
            " without zero rows is needed. Leave out rows that are zero."
        )
    if not bool(held.isfinite().all()):
        raise NotFiniteError(
            f"cannot find rectifying biases: {int((~held.isfinite()).sum())} of"
            f" {held.numel()} entries are NaN or infinite. Remove those rows."
        )
    verdict = omnidirectionality(held).verdict
    if verdict != "omnidirectional":
        raise InvalidArgumentError(
            f"cannot find rectifying biases: the {held.shape[0]} rows on"
            f" {held.shape[1]} coordinates are {verdict} omnidirectional, and facets"
            " cover all directions only if they are. Use injectivity instead."
        )
    return held.numpy()


def _facets(unit: Array, most: int) -> np.ndarray | None:
    """Return the facets' rows, or nothing where there would be too many."""
    m, n = unit.shape
    if n == 1:
        return np.array([[int(np.argmax(unit[:, 0]))], [int(np.argmin(unit[:, 0]))]])
    # No polytope with m vertices has more facets than a cyclic one.
    half = n // 2
    if n > 9 or float(m - half) ** half > 50.0 * most:
        return None
    try:
        return ConvexHull(unit).simplices
    except QhullError:
        return None


def _by_facets(unit: Array, simplices: np.ndarray) -> Array:
    alpha = np.full(unit.shape[0], np.inf)
    for simplex in simplices:
        basis = unit[simplex]
        gram = basis @ basis.T
        for place, row in enumerate(simplex):
            lowest = float(gram[place].min())
            if lowest < 0:
                _, distance = nonnegative_least_squares(
                    np.ascontiguousarray(basis.T), -unit[row]
                )
                lowest = -float(np.sqrt(max(0.0, 1.0 - distance**2)))
            alpha[row] = min(alpha[row], lowest)
    return alpha


def _by_points(unit: Array, points: int, seed: int) -> Array:
    """Return thresholds that keep each point's most correlated basis active."""
    generator = np.random.default_rng(seed)
    n = unit.shape[1]
    alpha = np.full(unit.shape[0], np.inf)
    for _ in range(points):
        x = generator.standard_normal(n)
        value = unit @ (x / np.linalg.norm(x))
        order = np.argsort(-value)
        count = n
        while count < order.size and np.linalg.matrix_rank(unit[order[:count]]) < n:
            count += 1
        chosen = order[:count]
        alpha[chosen] = np.minimum(alpha[chosen], value[chosen])
    return alpha
