"""A pre-image's piece inside its own affine hull, where it has an interior."""

from dataclasses import dataclass

import numpy as np

from relulens.certificates.rounding import Array
from relulens.certificates.statement import Statement
from relulens.certificates.subjects import Matrix, Weights
from relulens.certificates.system import Indices, take
from relulens.preimage.dimension import implied
from relulens.preimage.kernel import Kernel, kernel
from relulens.preimage.projected import Projected, projected


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Reduced:
    """The set ``origin + basis z`` with ``rows z <= slack``.

    Attributes:
        origin: A point of the set [n].
        hull: Equalities that span the affine hull, raw rows [e, n].
        below: Inequalities that are not constant there, raw rows [p, n].
        error: The exact row differs from each raw one by at most this, in the 1-norm:
            of the equalities [e], and of the inequalities [p].
        left: Kernel of the equalities; its basis [n, q] spans the hull.
        inside: The inequalities in coordinates of the hull.
        slack: Its slack at the origin over that norm [p].
    """

    origin: Array
    hull: Matrix
    below: Matrix
    error: tuple[Array, Array]
    left: Kernel
    inside: Projected
    slack: Array

    @property
    def basis(self) -> Array:
        """Orthonormal directions of the affine hull [n, q]."""
        return self.left.basis

    @property
    def rows(self) -> Array:
        """Inequalities in coordinates of the hull, of norm one [p, q]."""
        return self.inside.rows

    @property
    def size(self) -> Array:
        """Norm of each raw inequality on the hull [p]."""
        return self.inside.size

    @property
    def dimension(self) -> int:
        """Dimension of the set."""
        return int(self.basis.shape[1])


def reduced(statement: Statement, weights: Weights) -> Reduced | str:
    """Return a piece in its affine hull, or in words why that is not settled.

    Rows that are tight at the point and zero on every direction of the piece count as
    equalities; which ones is judged to rounding.

    Raises:
        MemoryLimitError: A dense matrix of the hull would be too large.

    Cost:
        One or two QR factorisations of the equalities, one product with their kernel.
    """
    equal = statement.equal
    left = kernel(take(weights, equal).matrix)
    taken = take(weights, statement.below)
    below = taken.matrix
    inside = projected(below, left.basis)
    tight = np.flatnonzero(statement.slack[inside.used] == 0)
    if left.basis.shape[1] and tight.size:
        fixed = implied(inside.rows[tight])
        if fixed is None:
            return "which conditions are equalities is not settled"
        if fixed.size:
            equal = equal.with_rows(statement.below.at(inside.used[tight[fixed]]))
            left = kernel(take(weights, equal).matrix)
            inside = projected(below, left.basis)
    hull = take(weights, equal)
    return Reduced(
        origin=statement.point.numpy().astype(np.float64),
        hull=hull.matrix,
        below=_rows(below, inside.used),
        error=(hull.radius, taken.radius[inside.used]),
        left=left,
        inside=inside,
        slack=statement.slack[inside.used] / inside.size,
    )


def _rows(matrix: Matrix, places: Indices) -> Matrix:
    return matrix if places.size == matrix.shape[0] else matrix[places]
