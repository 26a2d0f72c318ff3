"""What a search for the nearest face keeps from sample to sample."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from relulens.graph.network import Network
from relulens.graph.polyhedral import Polyhedral
from relulens.graph.tolerances import Tolerances
from relulens.local.excess import AbsoluteMaps
from relulens.local.packing import Step


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Search:
    """What stays the same from sample to sample.

    Attributes:
        region: The piecewise-affine network, in float64.
        arguments: The node that each nonlinear node reads.
        kept: Nodes whose values faces and their rounding need.
        effective: Whether only faces count that change the output's map.
        exact: Whether norms are screened in float64.
        margin: Relative safety of the screened norms.
        tolerances: What counts as zero.
        steps: How columns are pushed through the network.
        maps: Absolute maps, made when first needed.
    """

    region: Polyhedral
    arguments: Mapping[int, int]
    kept: frozenset[int]
    effective: bool
    exact: bool
    margin: float
    tolerances: Tolerances
    steps: tuple[Step, ...]
    maps: AbsoluteMaps = field(default_factory=AbsoluteMaps)

    @property
    def network(self) -> Network:
        """The network in float64."""
        return self.region.network
