"""Attention: products of values with a softmax between them."""

import math

import torch
from torch import Tensor

from relulens.importers.builder import Builder
from relulens.importers.operations.activations import softmax
from relulens.importers.operations.arithmetic import Operand, add, matmul, multiply
from relulens.importers.operations.shapes import permute
from relulens.importers.values import Value, as_float


def split_mask(mask: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Return a mask that is added to scores as a finite bias and minus infinities.

    Args:
        mask: Booleans, false where an entry takes no part, or numbers that are added.

    Returns:
        The finite part, and zeros with minus infinity where the mask has it; nothing
        where a part is zero everywhere.
    """
    if mask.dtype == torch.bool:
        bias = torch.zeros(mask.shape, dtype=torch.float64)
        out = ~mask
    else:
        out = as_float(mask) == -math.inf
        bias = torch.where(out, 0.0, as_float(mask))
    closed = torch.zeros(mask.shape, dtype=torch.float64).masked_fill(out, -math.inf)
    return (
        bias if bool((bias != 0).any()) else None,
        closed if bool(out.any()) else None,
    )


def attention(
    build: Builder,
    name: str,
    query: Operand,
    key: Operand,
    value: Operand,
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> Value:
    """Return ``softmax(scale query key^T + mask) value``.

    Args:
        build: The builder.
        name: The operation's name.
        query: ``[..., targets, width]``; a value or a constant, as the next two.
        key: ``[..., sources, width]``.
        value: ``[..., sources, width of the result]``.
        mask: Booleans, false where an entry takes no part, or numbers that are added.
        causal: Whether a target sees no later source.
        scale: Factor of the scores; one over the root of the width by default.

    Raises:
        InvalidArgumentError: A product would sum over the batch.
    """
    width = _last_length(query)
    factor = 1 / math.sqrt(width) if scale is None else scale
    turned = _transposed(build, f"{name}.key", key)
    if isinstance(query, Value):
        scaled: Operand = multiply(build, f"{name}.query", query, factor)
    else:
        scaled = as_float(query) * factor
    if not (isinstance(scaled, Value) or isinstance(turned, Value)):
        fixed = _constant_weights(as_float(scaled), as_float(turned), mask, causal)
        return matmul(build, name, fixed, value)
    scores = matmul(build, f"{name}.scores", scaled, turned)
    bias, closed = _mask(scores, mask, causal)
    if bias is not None:
        scores = add(build, f"{name}.bias", scores, bias)
    weights = softmax(build, f"{name}.softmax", scores, -1, closed)
    return matmul(build, name, weights, value)


def _last_length(operand: Operand) -> int:
    if isinstance(operand, Value):
        return operand.shape[operand.axis(-1)]
    return as_float(operand).shape[-1]


def _transposed(build: Builder, name: str, key: Operand) -> Operand:
    if not isinstance(key, Value):
        return as_float(key).mT
    order = [*range(key.rank - 2), key.rank - 1, key.rank - 2]
    return permute(build, name, key, order)


def _causal(targets: int, sources: int) -> Tensor:
    return torch.ones(targets, sources, dtype=torch.bool).tril()


def _mask(
    scores: Value, mask: Tensor | None, causal: bool
) -> tuple[Tensor | None, Tensor | None]:
    if causal:
        targets, sources = scores.shape[scores.axis(-2)], scores.shape[scores.axis(-1)]
        return split_mask(_causal(targets, sources))
    return (None, None) if mask is None else split_mask(mask)


def _constant_weights(
    query: Tensor, key: Tensor, mask: Tensor | None, causal: bool
) -> Tensor:
    scores = query @ key
    if causal:
        mask = _causal(scores.shape[-2], scores.shape[-1])
    for part in () if mask is None else split_mask(mask):
        if part is not None:
            scores = scores + part
    return torch.softmax(scores, -1).nan_to_num(nan=0.0)
