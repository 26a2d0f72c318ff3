"""Templates: the slope of every output as a filter, and how it makes the output."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from relulens.graph.linear_map import BYTE_LIMIT
from relulens.graph.network import Network
from relulens.local.affine_map import local_affine_map
from relulens.local.jacobian import flat_rows


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Templates:
    """``output = <row, x> + offset`` for every output. As an array it is the rows.

    Attributes:
        rows: The templates, shaped like the input.
        inner: Their inner products with the input.
        offsets: What does not come from the input.
        logits: The outputs, ``inner + offsets`` up to rounding.
    """

    rows: Float[Tensor, "batch out *input"]
    inner: Float[Tensor, "batch out"]
    offsets: Float[Tensor, "batch out"]
    logits: Float[Tensor, "batch out"]

    def __len__(self) -> int:
        """Return the number of inputs."""
        return self.rows.shape[0]

    def __getitem__(self, sample: int | slice | Tensor) -> Tensor:
        """Return the rows of one input, or of several."""
        return self.rows[sample]

    def __array__(
        self, dtype: np.dtype | None = None, copy: bool | None = None
    ) -> np.ndarray:
        """Return the rows."""
        return np.array(self.rows.cpu().numpy(), dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        count, outs = self.inner.shape
        return f"Templates({count} inputs, {outs} rows of {list(self.rows.shape[2:])})"


def templates(network: Network, x: object, /, *, limit: int = BYTE_LIMIT) -> Templates:
    r"""Return the row of every output at every input, and how it makes the output.

    Output :math:`c` is :math:`\langle A_c, x \rangle + b_c`, so the row :math:`A_c` is
    the filter that the network matches with this input for it.

    Args:
        network: The network.
        x: Inputs [N, *input_shape].
        limit: Bytes that the rows may take.

    Returns:
        Rows, inner products, offsets and outputs; the outputs are flattened.

    Raises:
        ShapeError: ``x`` has no batch axis, or another shape than the network's input.
        MemoryLimitError: The rows take more than ``limit`` bytes.

    Cost:
        Two forward passes, and min(in, out) more for the slopes.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[2.0, 1.0]], [0.5])])
        >>> found = templates(network, [[1.0, 3.0]])
        >>> found.inner.item(), found.offsets.item(), found.logits.item()
        (5.0, 0.5, 5.5)
    """
    point = network.as_input(x)
    found = local_affine_map(network, point, limit=limit)
    slope = found.slope
    flat = flat_rows(point).to(torch.float64)
    logits = flat_rows(found.frozen.values[found.end]).to(torch.float64)
    return Templates(
        rows=slope.reshape(*slope.shape[:2], *network.input_shape),
        inner=torch.einsum("noi,ni->no", slope, flat),
        offsets=found.offset,
        logits=logits,
    )
