"""Operator norms of slopes: one norm for the input, the same one for the output."""

from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import InvalidArgumentError

Norm: TypeAlias = Literal[1, 2, "inf"]
GIVEN: dict[object, Norm] = {
    1: 1,
    2: 2,
    "1": 1,
    "2": 2,
    "inf": "inf",
    float("inf"): "inf",
}


def checked_norm(norm: object) -> Norm:
    """Return which of the three norms is meant.

    Raises:
        InvalidArgumentError: It is none of 1, 2 and infinity.
    """
    known = isinstance(norm, int | float | str) and not isinstance(norm, bool)
    found: Norm | None = GIVEN.get(norm) if known else None
    if found is None:
        raise InvalidArgumentError(
            f"cannot measure in the norm {norm!r}: it is none of the 3 that are known,"
            " 1, 2 and 'inf' (math.inf). Pass the norm of the input; the output is"
            " measured in the same one."
        )
    return found


def operator_norms(
    slope: Float[Tensor, "batch out in"], norm: Norm
) -> Float[Tensor, " batch"]:
    r"""Return :math:`\max \|A v\|_p / \|v\|_p` of a batch of matrices.

    For one output it is the dual norm of the gradient: for inputs measured in the
    maximum norm the sum of the absolute partial derivatives, for 1 the largest one.
    """
    if slope.shape[1] == 0 or slope.shape[2] == 0:
        return slope.new_zeros(slope.shape[0])
    if norm == 1:
        return slope.abs().sum(1).amax(1)
    if norm == "inf":
        return slope.abs().sum(2).amax(1)
    if min(slope.shape[1:]) == 1:
        return slope.flatten(1).norm(dim=1)
    return torch.linalg.matrix_norm(slope, ord=2)


def operator_norm_bounds(
    low: Float[Tensor, "batch out in"], high: Float[Tensor, "batch out in"], norm: Norm
) -> Float[Tensor, " batch"]:
    """Return upper bounds of the norms of all matrices between two bounds.

    Exact for 1 and infinity. For 2 it is the smallest of three bounds: the norm of the
    largest absolute values, the norms of centre and radius added, and the root of the
    product of the other two norms.
    """
    most = torch.maximum(low.abs(), high.abs())
    if norm != 2:
        return operator_norms(most, norm)
    if min(low.shape[1:]) == 1:
        return operator_norms(most, 2)
    centre, radius = (low + high) / 2, (high - low) / 2
    split = operator_norms(centre, 2) + operator_norms(radius, 2)
    mixed = (operator_norms(most, 1) * operator_norms(most, "inf")).sqrt()
    found = torch.minimum(torch.minimum(operator_norms(most, 2), split), mixed)
    # Singular values come with an error of the size of the matrix's rounding.
    return found * (1 + 1e-13 * sum(low.shape[1:]))
