"""What a bounded sparse attack may change around one input."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ranges:
    """What may change, flattened.

    Attributes:
        x: The input.
        low: Lowest inputs: the domain and the radius together.
        high: Highest inputs.
        sigma: Largest change of each entry.
        k: Most entries that may change.
    """

    x: Float[Tensor, " inputs"]
    low: Float[Tensor, " inputs"]
    high: Float[Tensor, " inputs"]
    sigma: Float[Tensor, " inputs"]
    k: int
