"""How stably a layer's features determine the input: spectra before and after it."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from relulens.graph.linear_map import BYTE_LIMIT, check_bytes
from relulens.graph.network import Network
from relulens.graph.tolerances import Tolerances
from relulens.local.affine_map import local_affine_map
from relulens.local.relu_effect import ReluEffect, relu_effect
from relulens.local.spectrum import Spectrum


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Stability:
    """Spectra around a layer, and what each removed row says about them.

    In fields [N, 2] the first entry is before the layer and the second after it.

    Attributes:
        effect: Both spectra whole, with the check that they interlace.
        rank: Ranks [N, 2].
        largest: Largest singular values [N, 2].
        smallest: Smallest ones that count as nonzero [N, 2]; NaN without any.
        condition: Largest over smallest [N, 2].
        removed: Whether the layer sets a unit to zero [N, units].
        correlation_bound: Per removed unit k the bound of the row-removal lemma,
            ``sqrt(M) max_j |<b_j, a_k>| / |a_k|`` with M rows b_j left; NaN where the
            lemma does not apply, as for units that are kept [N, units].
        direction_bound: Per removed unit ``|B a_k| / |P a_k|``, with P the projector
            on the row space of the rows left; NaN where ``P a_k`` is zero [N, units].
        bound: The smallest of these bounds on ``smallest[:, 1]``, for every input;
            infinite without any [N].
    """

    effect: ReluEffect
    rank: Int[Tensor, "batch 2"]
    largest: Float[Tensor, "batch 2"]
    smallest: Float[Tensor, "batch 2"]
    condition: Float[Tensor, "batch 2"]
    removed: Tensor
    correlation_bound: Float[Tensor, "batch units"]
    direction_bound: Float[Tensor, "batch units"]
    bound: Float[Tensor, " batch"]

    def __repr__(self) -> str:
        """Return the conditions on one line."""
        return (
            f"Stability({len(self.rank)} inputs, condition"
            f" {[[float(f'{v:.3g}') for v in row] for row in self.condition.tolist()]})"
        )


def stability(
    network: Network,
    x: object,
    /,
    *,
    layer: int | str,
    tol: Tolerances = Tolerances(),  # noqa: B008
    limit: int = BYTE_LIMIT,
) -> Stability:
    r"""Return how stably a layer's features determine the input, near every input.

    Where the affine map at x holds, and differences lie in its row space,
    :math:`\sigma_{\min} |x - x'| \le |f(x) - f(x')| \le \sigma_{\max} |x - x'|`.
    Removing rows bounds the smallest one,
    :math:`\sigma_{\min}(B) \le |B a_k| / |P a_k|` for every removed row :math:`a_k`.

    Args:
        network: The network.
        x: Inputs [N, *input_shape].
        layer: Index or name of a layer of two slopes, such as a ReLU.
        tol: ``rank``: values below this times the largest count as zero.
        limit: Bytes that one dense slope may take.

    Returns:
        Numbers for every input, with both spectra.

    Raises:
        InvalidArgumentError: The layer is not one with two slopes.
        MemoryLimitError: A slope is too large.

    Cost:
        Two spectra, and per input one decomposition of the rows left.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> layers = [([[2.0, 0.0], [1.0, 1.0]], None), ([[1.0, 1.0]], None)]
        >>> network = from_layers(layers)
        >>> stability(network, [[1.0, -2.0]], layer=0).direction_bound
        tensor([[nan, 2.]], dtype=torch.float64)
    """
    points = network.as_input(x)
    effect = relu_effect(network, points, layer, tol=tol, limit=limit)
    columns = [(_edges(s)) for s in (effect.before, effect.after)]
    rank, largest, smallest = (
        torch.stack([column[i] for column in columns], dim=1) for i in range(3)
    )
    bounds = [
        _row_bounds(network, points[i : i + 1], layer, tol, limit)
        for i in range(points.shape[0])
    ]
    units = 0 if not bounds else bounds[0][0].numel()
    removed, correlation, direction = (
        torch.stack([item[i] for item in bounds])
        if bounds
        else torch.zeros((0, units), dtype=torch.float64)
        for i in range(3)
    )
    both = torch.cat([correlation, direction], dim=1).nan_to_num(nan=torch.inf)
    return Stability(
        effect=effect,
        rank=rank.long(),
        largest=largest,
        smallest=smallest,
        condition=largest / smallest,
        removed=removed.bool(),
        correlation_bound=correlation,
        direction_bound=direction,
        bound=both.amin(1)
        if both.shape[1]
        else torch.full((both.shape[0],), torch.inf, dtype=torch.float64),
    )


def _edges(spectrum: Spectrum) -> tuple[Tensor, Tensor, Tensor]:
    """Return rank, largest and smallest nonzero singular value of every input."""
    values, rank = spectrum.values, spectrum.rank
    if values.shape[1] == 0:
        none = torch.full(rank.shape, torch.nan, dtype=torch.float64)
        return rank.to(torch.float64), none, none
    last = values.gather(1, (rank - 1).clamp(min=0)[:, None])[:, 0]
    smallest = torch.where(rank > 0, last, torch.nan)
    return rank.to(torch.float64), values[:, 0], smallest


def _row_bounds(
    network: Network, x: Tensor, layer: int | str, tol: Tolerances, limit: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return which units are removed, and both bounds of each."""
    units = network.nodes[network.find(layer)].shape
    size = 8 * network.input_size * math.prod(units)
    check_bytes("the slope before the layer", size, limit, "Choose a smaller layer.")
    before = local_affine_map(network, x, layer=layer, at="preactivation").slope[0]
    after = local_affine_map(network, x, layer=layer, at="features").slope[0]
    before, after = before.to(torch.float64), after.to(torch.float64)
    removed = (after == 0).all(1) & (before != 0).any(1)
    none = torch.full(removed.shape, torch.nan, dtype=torch.float64)
    kept = after[(after != 0).any(1)]
    if not removed.any() or kept.shape[0] == 0:
        return removed.double(), none, none.clone()
    rows = before[removed]
    _, values, right = torch.linalg.svd(kept, full_matrices=False)
    basis = right[values > tol.rank * values[0]]
    length, inside = rows.norm(dim=1), (rows @ basis.T).norm(dim=1)
    products = rows @ kept.T
    rounding = 1e-9 * length
    sharp = torch.where(inside > rounding, products.norm(dim=1) / inside, torch.nan)
    largest = kept.shape[0] ** 0.5 * products.abs().amax(1) / length
    # the lemma asks that the removed row lies in the row space of those left
    outside = (rows - (rows @ basis.T) @ basis).norm(dim=1)
    lemma = torch.where(outside <= rounding, largest, torch.nan)
    correlation, direction = none.clone(), none.clone()
    correlation[removed], direction[removed] = lemma, sharp
    return removed.double(), correlation, direction
