"""The steepest of the regions that an enumeration found: exact if it found them all."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.regions.linear_regions import LinearRegions
from relulens.regions.partition import Partition
from relulens.robustness.lipschitz.local import local_lipschitz
from relulens.robustness.lipschitz.operator_norms import Norm, checked_norm


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SlopeMaximum:
    """The largest operator norm of a slope over regions. As a number it is the norm.

    Attributes:
        value: The largest norm.
        region: Number of the region, or of the cell of a slice.
        witness: A point [*input_shape] inside it.
        norms: Norms of all regions.
        norm: The norm of the input, and of the output.
        complete: Whether these are all regions of the domain; if not, ``value`` is a
            lower bound only.
    """

    value: float
    region: int
    witness: Float[Tensor, " *input"]
    norms: Float[Tensor, " regions"]
    norm: Norm
    complete: bool

    def __float__(self) -> float:
        """Return the largest norm."""
        return self.value

    def __repr__(self) -> str:
        """Return the maximum on one line."""
        bound = "" if self.complete else "at least "
        return (
            f"SlopeMaximum({bound}{self.value:.6g}, norm={self.norm!r}, region"
            f" {self.region} of {self.norms.shape[0]})"
        )


def slope_maximum(
    regions: LinearRegions | Partition, /, norm: Norm | float = 2
) -> SlopeMaximum:
    """Return the largest slope of the regions of a domain, or of the cells of a slice.

    The slope is that of the network by its whole input, also on a slice.

    Args:
        regions: What ``linear_regions`` or ``slice_partition`` gave, of all layers.
        norm: 1, 2 or ``"inf"``: of the input, and of the output.

    Returns:
        The maximum with a witness, exact up to rounding if the enumeration is complete.

    Raises:
        InvalidArgumentError: The norm is none of the three, or there is no region.

    Cost:
        A backward pass a region and output.

    Example:
        >>> from relulens.graph.domain import Box
        >>> from relulens.importers.layers import from_layers
        >>> from relulens.regions.enumeration import linear_regions
        >>> network = from_layers([([[1.0], [-2.0]], None), ([[1.0, 1.0]], None)])
        >>> slope_maximum(linear_regions(network, Box(-1, 1))).value
        2.0
    """
    if isinstance(regions, LinearRegions):
        points = regions.points
    else:
        points = regions.plane.points(regions.centres)
    if not points.shape[0]:
        raise InvalidArgumentError(
            "cannot take the largest slope: there are 0 regions. Enumerate some."
        )
    norms = local_lipschitz(regions.network, points, norm)
    steepest = int(norms.argmax())
    return SlopeMaximum(
        value=float(norms[steepest]),
        region=steepest,
        witness=points[steepest],
        norms=norms,
        norm=checked_norm(norm),
        complete=regions.complete,
    )
