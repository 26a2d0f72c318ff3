"""The question of a Lipschitz search: network, box, free entries, rows and norm."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from relulens.bounds.images import AbsoluteAffine
from relulens.graph.freeze import Frozen, freeze
from relulens.graph.network import Network
from relulens.graph.nodes import Affine
from relulens.graph.polyhedral import Polyhedral
from relulens.local.jacobian import pull
from relulens.robustness.lipschitz.operator_norms import Norm, operator_norms


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Problem:
    """What is asked.

    Attributes:
        network: The network, float64.
        region: Its nodes.
        low: Lowest input [*input_shape].
        high: Highest input.
        free: Which flattened entries of the input the box leaves free.
        rows: Weights [rows, out] of the flattened output.
        norm: The norm of the input, and of the output.
        known: Absolute maps of the affine nodes.
    """

    network: Network
    region: Polyhedral
    low: Tensor
    high: Tensor
    free: Bool[Tensor, " in"]
    rows: Float[Tensor, "rows out"]
    norm: Norm
    known: Mapping[int, AbsoluteAffine]

    @property
    def width(self) -> int:
        """Number of entries of the input that can change."""
        return int(self.free.sum())

    def norms(self, frozen: Frozen) -> Float[Tensor, " batch"]:
        """Return the norms of the slopes of frozen maps, at most a few thousand."""
        columns = self.rows.T.expand(frozen.batch, *self.rows.T.shape)
        slope = pull(frozen, columns, 0, self.region.end).transpose(1, 2)
        return operator_norms(slope[:, :, self.free], self.norm)

    def norms_at(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, " batch"]:
        """Return the norms of the slopes at inputs, by the convention on ties."""
        return self.norms(freeze(self.network, x, self.region.end))


def absolute_maps(region: Polyhedral) -> dict[int, AbsoluteAffine]:
    """Return the absolute maps of all affine nodes."""
    return {
        index: AbsoluteAffine.of(node)
        for index, node in region.nodes.items()
        if isinstance(node, Affine)
    }
