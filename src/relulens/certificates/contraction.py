"""A vector that proves a model with loops to have exactly one equilibrium."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from relulens.certificates.magnitude import magnitude_product
from relulens.certificates.rounding import UNIT, Array
from relulens.certificates.verification import Verification, accepted, refused
from relulens.graph.linear_map import LinearMap


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Contraction:
    """A vector v > 0 with ``Γ |A| v <= factor v`` and ``factor < 1``.

    Then ``x -> phi(A x + b)`` contracts by the factor in the norm ``max |x_i| / v_i``,
    whatever b is, and the largest eigenvalue of ``Γ |A|`` is at most the factor
    (Collatz and Wielandt).

    Attributes:
        A: The matrix [m, n].
        gain: Nonnegative map Γ [n, m]: ``|phi(z) - phi(z')| <= Γ |z - z'|``.
        vector: The vector v [n].
        factor: The contraction factor.
    """

    A: LinearMap
    gain: LinearMap
    vector: Float[Tensor, " n"]
    factor: float

    def verify(self) -> Verification:
        """Check the inequality from the raw weights alone, rounding included."""
        v = self.vector.detach().cpu().double().numpy()
        if v.shape != (self.A.in_size,) or self.gain.in_size != self.A.out_size:
            return refused("the vector or the gain has another size than A")
        if not (np.isfinite(v).all() and (v > 0).all()):
            return refused("the vector is not positive")
        carried = carried_change(self.A, self.gain, v)
        reached = carried_factor(carried, v)
        if not reached <= self.factor:
            return refused(f"the factor is {reached:.17g}, above {self.factor:.17g}")
        if not self.factor < 1:
            return refused(f"the factor {self.factor:.6g} is not below 1")
        return accepted("the model contracts in a weighted norm", 1 - reached)


def carried_change(A: LinearMap, gain: LinearMap, vector: Array) -> Array:
    """Return an upper bound on ``Γ |A| v`` for v >= 0, rounding included."""
    cpu = torch.device("cpu")
    inner = magnitude_product(A.to(torch.float64, cpu), vector)
    return magnitude_product(gain.to(torch.float64, cpu), inner)


def carried_factor(carried: Array, vector: Array) -> float:
    """Return the largest ratio of two vectors, rounded upwards; zero if empty."""
    return float(np.max(carried / vector, initial=0.0)) * (1 + 4 * UNIT)
