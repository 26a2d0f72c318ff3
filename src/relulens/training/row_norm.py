"""Rows of weights kept inside l1 balls."""

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import InvalidArgumentError


def project_rows(
    matrix: Float[Tensor, "rows columns"],
    radius: float,
    *,
    weights: Float[Tensor, " columns"] | None = None,
) -> Float[Tensor, "rows columns"]:
    r"""Return the nearest matrix with rows in a weighted l1 ball.

    The Euclidean projection of each row onto :math:`\sum_j w_j |a_j| \le` radius: soft
    thresholding by :math:`\tau w_j` with the threshold found by sorting
    :math:`|a_j| / w_j`, exact and for all rows at once.

    Args:
        matrix: Any matrix.
        radius: Radius of the weighted l1 ball, positive.
        weights: Positive weights of the columns, ones by default.

    Raises:
        InvalidArgumentError: ``radius`` or a weight is not positive.
    """
    if not radius > 0 or (weights is not None and not bool((weights > 0).all())):
        least = 1.0 if weights is None else float(weights.min())
        raise InvalidArgumentError(
            f"cannot project rows: the radius is {radius} and the least weight {least},"
            " and both must exceed 0."
        )
    scale = matrix.new_ones(matrix.shape[1]) if weights is None else weights
    size = matrix.abs().to(torch.float64)
    wide = scale.to(torch.float64)
    order = (size / wide).argsort(dim=1, descending=True)
    sizes, chosen = size.gather(1, order), wide[order]
    # Threshold if the first j entries stay: (sum w|a| - radius) / sum w^2.
    above = (chosen * sizes).cumsum(1) - radius
    below = chosen.square().cumsum(1)
    stays = sizes / chosen > above / below
    count = stays.sum(1, keepdim=True).clamp(min=1)
    threshold = (above / below).gather(1, count - 1).clamp(min=0)
    shrunk = (size - threshold * wide).clamp(min=0)
    return torch.sign(matrix) * shrunk.to(matrix.dtype)
