"""The evidence that a partition is right."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceCertificate:
    """What was decided how, and the sums that must come out.

    Attributes:
        area: Area of the domain.
        area_difference: Sum of the cells' areas less the finished area.
        euler: Vertices less edges plus cells, 1 for a polygon without holes.
        exact_signs: Signs that rounding left open and that were decided exactly.
        undecided_signs: Signs that rounding left open and time did not allow to decide.
        largest_error: Bound on the error of a coordinate of any vertex.
    """

    area: float
    area_difference: float
    euler: int
    exact_signs: int
    undecided_signs: int
    largest_error: float
