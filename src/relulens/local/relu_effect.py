"""What a nonlinearity does to the singular values of the slope before it."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.convert import converted
from relulens.graph.freeze import Frozen, freeze
from relulens.graph.linear_map import BYTE_LIMIT
from relulens.graph.network import Layer, Network
from relulens.graph.nodes import TwoSlope
from relulens.graph.tolerances import Tolerances
from relulens.local.jacobian import flat_rows
from relulens.local.spectrum import Spectrum, singular_values


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReluEffect:
    """Spectra just before and just after a layer.

    Attributes:
        before: Of the slope up to the layer's argument.
        after: Of the slope up to its features.
        removed: Rows that the layer sets to zero, for every input.
        rank_drop: How much of the rank is gone.
        interlaces: Whether the two spectra interlace to rounding, as removing rows
            must: value ``l`` after lies between ``l`` and ``l + removed`` before.
            Nothing unless every kept row is kept as it is.
    """

    before: Spectrum
    after: Spectrum
    removed: Int[Tensor, " batch"]
    rank_drop: Int[Tensor, " batch"]
    interlaces: Bool[Tensor, " batch"] | None

    def __repr__(self) -> str:
        """Return the numbers on one line."""
        return (
            f"ReluEffect({len(self.before)} inputs, rows removed"
            f" {self.removed.tolist()}, rank drop {self.rank_drop.tolist()})"
        )


def relu_effect(
    network: Network,
    x: object,
    layer: int | str,
    /,
    *,
    method: str | None = None,
    tol: Tolerances = Tolerances(),  # noqa: B008
    limit: int = BYTE_LIMIT,
) -> ReluEffect:
    """Return the spectra just before and just after a layer of two slopes.

    Args:
        network: The network.
        x: Inputs [N, *input_shape].
        layer: Index or name of a layer such as a ReLU.
        method: As in ``singular_values``.
        tol: ``rank``: values below this times the largest count as zero.
        limit: Bytes that dense slopes may take.

    Raises:
        InvalidArgumentError: The layer is not one with two slopes.

    Cost:
        Two spectra.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> layers = [([[2.0, 0.0], [0.0, 1.0]], None), ([[1.0, 1.0]], None)]
        >>> network = from_layers(layers)
        >>> relu_effect(network, [[1.0, -1.0]], 0)
        ReluEffect(1 inputs, rows removed [1], rank drop [1])
    """
    chosen = network.layers[network.layer_index(layer)]
    before, after = (
        singular_values(
            network, x, layer=layer, at=at, method=method, tol=tol, limit=limit
        )
        for at in ("preactivation", "features")
    )
    node = _two_slope(network, chosen)
    point = network.as_input(x).to(torch.float64)
    frozen = freeze(converted(network, torch.float64), point, chosen.nodes[0])
    slopes = _slopes(frozen, chosen.nodes[0], node)
    removed = (slopes == 0).sum(1)
    plain = bool(((slopes == 0) | (slopes == 1)).all())
    return ReluEffect(
        before=before,
        after=after,
        removed=removed,
        rank_drop=before.rank - after.rank,
        interlaces=_interlaces(before, after, removed) if plain else None,
    )


def _two_slope(network: Network, layer: Layer) -> TwoSlope:
    node = network.nodes[layer.nodes[0]]
    if len(layer.nodes) != 1 or not isinstance(node, TwoSlope):
        raise InvalidArgumentError(
            f"cannot tell the effect of layer {layer.name!r}: it is"
            f" {layer.operation!r} of {len(layer.nodes)} nodes, and one node of two"
            " slopes (ReLU, leaky ReLU, abs) is needed. Compare singular_values with"
            " at='preactivation' and at='features'."
        )
    return node


def _slopes(frozen: Frozen, index: int, node: TwoSlope) -> Tensor:
    gate = frozen.gates[index]
    positive, negative = (s.to(torch.float64) for s in (node.positive, node.negative))
    return flat_rows(torch.where(gate, positive, negative))


def _interlaces(
    before: Spectrum, after: Spectrum, removed: Tensor
) -> Bool[Tensor, " batch"]:
    """Tell whether the spectra interlace, up to what rounding may have done."""
    count = before.values.shape[1]
    place = torch.arange(count, device=removed.device)[None] + removed[:, None]
    padded = torch.cat([before.values, torch.zeros_like(before.values)], dim=1)
    lower = padded.gather(1, place.clamp(max=2 * count - 1)) if count else padded
    rounding = before.error_bound + after.error_bound
    slack = rounding.amax(1, keepdim=True) if count else rounding
    above = after.values <= before.values + slack
    return (above & (after.values >= lower - slack)).all(1)
