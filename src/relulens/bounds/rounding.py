"""How much rounding can add to a bound, at most."""

from torch import Tensor

from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import Added, Adjoint, AlongAxis, Composed, Diagram

UNIT = 2.0**-53


def gamma(terms: int) -> float:
    """Return a bound on the relative error of a sum of so many products.

    It bounds ``|fl(a . b) - a . b| / (|a| . |b|)`` for any order of summation
    :cite:p:`higham2002accuracy`, with room for a few more operations and for the
    rounding of the bound itself. Underflow is not counted.
    """
    return 1.01 * (terms + 16) * UNIT


def roundings(map_: LinearMap) -> int:
    """Return how many roundings lie behind an entry of a map's value, at most.

    The count holds for ``apply`` and for ``adjoint``; the error is relative to the map
    whose parts are taken by absolute value, ``parts_by_absolute_value``.
    """
    match map_:
        case Adjoint(map=inner):
            return roundings(inner)
        case Composed(maps=parts):
            return sum(map(roundings, parts))
        case Added(maps=parts):
            return sum(map(roundings, parts)) + len(parts)
        case Diagram(arrows=arrows):
            return sum(roundings(arrow.map) + 1 for arrow in arrows)
        case AlongAxis(matrix=matrix):
            # Counting its nonzero entries would cost more than applying it.
            return max(matrix.shape) + 2
        case _:
            return max(map_.fans()) + 2


def is_made_of_maps(map_: LinearMap) -> bool:
    """Tell whether a map adds or multiplies others, whose entries may cancel."""
    return isinstance(map_, Adjoint | Composed | Added | Diagram)


def parts_by_absolute_value(map_: LinearMap) -> LinearMap:
    """Return the map with the absolute coefficients of every part, none multiplied out.

    What a computed value can be off is relative to this map, not to the absolute value
    of the product, in which entries may cancel.
    """
    return map_.absolute(limit=0).map


def widened(low: Tensor, high: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Return bounds moved apart by a share of their absolute values."""
    return low - share * low.abs(), high + share * high.abs()
