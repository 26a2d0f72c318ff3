"""Singular values of local affine maps."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.convert import converted
from relulens.graph.freeze import Frozen, freeze, frozen_part
from relulens.graph.linear_map import BYTE_LIMIT
from relulens.graph.network import Network
from relulens.graph.tolerances import Tolerances
from relulens.local.all_values import Accurate, all_values
from relulens.local.jacobian import dense_jacobian, pull, push
from relulens.numerics.largest_singular import largest_singular

METHODS = ("svd", "gram", "tsqr", "lanczos")

SMALL = 512
"""Up to this smaller side a plain decomposition is as fast as any other way."""

_ACCURACY = {
    "svd": "every value to rounding of the largest",
    "tsqr": "every value to rounding of the largest",
    "gram": "values above about 1e-8 of the largest; those near it have few digits",
    "lanczos": "a singular value lies within error_bound of each; that none is left out"
    " is not proved",
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Spectrum:
    """Singular values, largest first, one row an input. As an array it is the values.

    Attributes:
        values: The singular values.
        rank: How many of them exceed ``tolerance``.
        complete: Whether these are all of them, or the largest only.
        tolerance: Absolute threshold of the rank, one an input.
        error_bound: How far each value may be off by rounding, absolute.
        method: ``"svd"``, ``"gram"``, ``"tsqr"`` or ``"lanczos"``.
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
    seed: int = 0,
    limit: int = BYTE_LIMIT,
) -> Spectrum:
    r"""Return the singular values of the slope at every input.

    The Gram matrix squares the condition: with rounding of relative size :math:`\delta`
    its eigenvalues tell singular values above :math:`\sqrt\delta` times the largest.

    Args:
        network: The network.
        x: Inputs [N, *input_shape].
        layer: Where the map ends: index, name, or nothing for the output.
        start: Where it starts: index or name of a layer; the input by default.
        at: ``"preactivation"`` ends at the argument of the layer instead.
        k: How many of the largest, matrix-free; all of them by default.
        method: ``"svd"`` (dense), ``"gram"`` (eigenvalues of the smaller Gram matrix),
            ``"tsqr"`` (orthogonal steps only, full accuracy) or ``"lanczos"`` (needs
            ``k``). By default the fastest that resolves every value: ``"svd"`` for
            small slopes, else ``"gram"``, and ``"tsqr"`` where that cannot tell small
            values from zero.
        tol: ``rank``: values below this times the largest count as zero.
        seed: Of the starting vector of ``"lanczos"``.
        limit: Bytes that dense slopes may take.

    Returns:
        The spectrum; the method taken is in it, with its accuracy. With several inputs
        the method is the most careful one that any of them needed.

    Raises:
        ShapeError: ``x`` has no batch axis, or another shape than the network's input.
        UnknownNameError: No layer has this name.
        InvalidArgumentError: ``k`` or ``method`` is none that there is.
        MemoryLimitError: The slopes take more than ``limit`` bytes.

    Cost:
        One pass for each column that cannot be packed with others, and a decomposition
        of min(in, out).

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[3.0, 0.0], [0.0, 4.0]], None)])
        >>> singular_values(network, [[1.0, 1.0]]).values.tolist()
        [[4.0, 3.0]]
    """
    end = network.find(layer, at)
    first = 0 if start is None else network.find(start)
    sizes = [math.prod(network.nodes[i].shape) for i in (end, first)]
    chosen = _chosen(method, k, min(sizes))
    point = network.as_input(x).to(torch.float64)
    frozen = freeze(converted(network, torch.float64), point, end)
    if chosen == "svd":
        dense = dense_jacobian(frozen, first, end, limit=limit)
        found = _plain(dense)
    elif chosen == "lanczos":
        found = _several([
            _lanczos(frozen_part(frozen, slice(i, i + 1)), first, end, k or 1, seed)
            for i in range(frozen.batch)
        ])
    else:
        found = all_values(frozen, first, end, method=chosen, tol=tol.rank, limit=limit)
    return _spectrum(found, k, min(sizes), tol)


def _chosen(method: str | None, k: int | None, smaller: int) -> str | None:
    """Return the method to take; nothing stands for Gram first, then by condition."""
    if method is not None and method not in METHODS:
        raise InvalidArgumentError(
            f"cannot compute singular values by {method!r}: it is none of the"
            f" {len(METHODS)} methods {', '.join(METHODS)}. Pass one of these."
        )
    if k is not None and k < 1:
        raise InvalidArgumentError(
            f"cannot compute the {k} largest singular values: 1 is the least there can"
            " be. Pass k >= 1, or leave it out for all."
        )
    if method == "lanczos" and k is None:
        raise InvalidArgumentError(
            "cannot compute singular values by 'lanczos': k is missing, and it finds"
            " the k largest. Pass k, or another method."
        )
    if method == "lanczos" and k is not None and k >= smaller:
        return "svd"
    if method is None and k is not None and k < smaller and smaller > SMALL:
        return "lanczos"
    if method is None and smaller <= SMALL:
        return "svd"
    return method


def _plain(dense: Float[Tensor, "batch out in"]) -> Accurate:
    values = torch.linalg.svdvals(dense)
    unit = torch.finfo(torch.float64).eps
    largest = values.amax(1) if values.shape[1] else values.new_zeros(len(values))
    bound = max(dense.shape[1:], default=0) * unit * largest
    return Accurate(
        values=values,
        error_bound=bound[:, None].expand_as(values),
        blind=bound,
        method="svd",
    )


def _lanczos(one: Frozen, start: int, end: int, k: int, seed: int) -> Accurate:
    nodes = one.network.nodes
    sizes = (math.prod(nodes[end].shape), math.prod(nodes[start].shape))

    def forward(v: np.ndarray) -> np.ndarray:
        moved = push(one, torch.from_numpy(v.copy())[None].to(one.x.device), start, end)
        return moved[0].to(torch.float64).cpu().numpy()

    def backward(w: np.ndarray) -> np.ndarray:
        moved = pull(one, torch.from_numpy(w.copy())[None].to(one.x.device), start, end)
        return moved[0].to(torch.float64).cpu().numpy()

    found = largest_singular(forward, backward, sizes, k, seed=seed)
    values = torch.from_numpy(found.values)[None]
    unit = torch.finfo(torch.float64).eps * max(sizes) * values.amax(1)
    return Accurate(
        values=values,
        error_bound=torch.from_numpy(found.residual)[None] + unit[:, None],
        blind=unit,
        method="lanczos",
    )


def _several(parts: list[Accurate]) -> Accurate:
    if not parts:
        none = torch.zeros((0, 0), dtype=torch.float64)
        blind = none.sum(1)
        return Accurate(values=none, error_bound=none, blind=blind, method="lanczos")
    return Accurate(
        values=torch.cat([part.values for part in parts]),
        error_bound=torch.cat([part.error_bound for part in parts]),
        blind=torch.cat([part.blind for part in parts]),
        method=parts[0].method,
    )


def _spectrum(
    found: Accurate, k: int | None, smaller: int, tol: Tolerances
) -> Spectrum:
    values, bound = found.values, found.error_bound
    if k is not None:
        values, bound = values[:, :k], bound[:, :k]
    largest = values.amax(1) if values.shape[1] else found.blind
    tolerance = torch.maximum(tol.rank * largest, found.blind)
    return Spectrum(
        values=values,
        rank=(values > tolerance[:, None]).sum(1),
        complete=values.shape[1] == smaller,
        tolerance=tolerance,
        error_bound=bound,
        method=found.method,
        accuracy=_ACCURACY[found.method],
    )
