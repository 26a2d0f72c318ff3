"""Singular values of local affine maps."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from relulens.graph.linear_map import BYTE_LIMIT
from relulens.graph.network import Network
from relulens.graph.tolerances import Tolerances
from relulens.local.affine_map import local_affine_map


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Spectrum:
    """Singular values, largest first, one row an input. As an array it is the values.

    Attributes:
        values: The singular values.
        rank: How many of them exceed ``tolerance``.
        complete: Whether these are all of them, or the largest only.
        tolerance: Absolute threshold of the rank, one an input.
        error_bound: How far each value may be off by rounding, absolute.
        method: How they were computed: ``"svd"``, ``"gram"``, ``"tsqr"`` or ``"lanczos"``.
        accuracy: What the method is good for, in words.
    """

    values: Float[Tensor, "batch k"]
    rank: Int[Tensor, " batch"]
    complete: bool
    tolerance: Float[Tensor, " batch"]
    error_bound: Float[Tensor, "batch k"]
    method: str
    accuracy: str

    def __len__(self) -> int:
        """Return the number of inputs."""
        return self.values.shape[0]

    def __getitem__(self, sample: int | slice | Tensor) -> Tensor:
        """Return the singular values of one input, or of several."""
        return self.values[sample]

    def __array__(
        self, dtype: np.dtype | None = None, copy: bool | None = None
    ) -> np.ndarray:
        """Return the singular values."""
        return np.array(self.values.cpu().numpy(), dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        count, kept = self.values.shape
        which = "all" if self.complete else "the largest"
        return f"Spectrum({count} inputs, {which} {kept} values, {self.method})"


def singular_values(
    network: Network,
    x: object,
    /,
    *,
    layer: int | str | None = None,
    start: int | str | None = None,
    at: str = "features",
    k: int | None = None,
    method: str | None = None,
    tol: Tolerances = Tolerances(),  # noqa: B008
    limit: int = BYTE_LIMIT,
) -> Spectrum:
    """Return the singular values of the slope at every input."""
    found = local_affine_map(network, x, layer=layer, start=start, at=at, limit=limit)
    values = torch.linalg.svdvals(found.slope)
    complete = k is None or k >= values.shape[1]
    largest = values.amax(1) if values.shape[1] else values.new_zeros(len(values))
    rounding = max(found.shape[1:]) * torch.finfo(torch.float64).eps * largest
    tolerance = torch.maximum(tol.rank * largest, rounding)
    return Spectrum(
        values=values if k is None else values[:, :k],
        rank=(values > tolerance[:, None]).sum(1),
        complete=complete,
        tolerance=tolerance,
        error_bound=rounding[:, None].expand_as(values)[:, : k or values.shape[1]],
        method="svd",
        accuracy="every value to rounding of the largest",
    )
