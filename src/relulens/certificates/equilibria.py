"""Two equilibria of one input: a model that is not well-posed."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from relulens.certificates.entries import entries_of
from relulens.certificates.rounding import exact_dot
from relulens.certificates.verification import Verification, accepted, refused
from relulens.graph.linear_map import LinearMap


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TwoEquilibria:
    """A vector g that ``I - A`` turns back: ``g_i ((I - A) g)_i <= 0`` for all i.

    Then for ``b = max(g, 0) - A max(g, 0) - max((I - A) g, 0)`` both ``max(g, 0)`` and
    ``max(-g, 0)`` solve ``x = relu(A x + b)``.

    Attributes:
        A: The matrix [n, n].
        gap: The vector g [n], the difference of the two states.
    """

    A: LinearMap
    gap: Float[Tensor, " n"]

    @property
    def states(self) -> tuple[Tensor, Tensor]:
        """The two states."""
        return self.gap.clamp(min=0), (-self.gap).clamp(min=0)

    def verify(self) -> Verification:
        """Check every sign exactly."""
        gap = self.gap.detach().cpu().double().numpy()
        if gap.shape != (self.A.in_size,) or self.A.out_size != self.A.in_size:
            return refused("the vector has another size than A")
        if not np.isfinite(gap).all() or not gap.any():
            return refused("the vector is zero or not finite")
        matrix, radius = entries_of(self.A)
        for i in np.flatnonzero(gap):
            slack = float(radius[i] @ np.abs(gap)) * 2
            moved = exact_dot(-matrix[i], gap, plus=[float(gap[i])])
            if moved * np.sign(gap[i]) + slack > 0:
                return refused(f"row {i} does not turn the vector against itself")
        return accepted("one input has two equilibria")
