"""What counts as zero: every tolerance in one value, with its unit and norm."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """Thresholds of the numerical decisions.

    Attributes:
        sign: A unit's argument counts as zero to rounding below ``sign`` times the sum
            of absolute values of the terms it adds up (no unit).
        rank: Singular values below ``rank`` times the largest count as zero (no unit).
        row: A row of a local affine map counts as zero if its Euclidean norm is below
            ``row`` times the norm that its terms could have reached (no unit).
        feasible: A point satisfies an inequality whose row has Euclidean norm one up to
            ``feasible`` (in units of the input).
    """

    sign: float = 1e-12
    rank: float = 1e-10
    row: float = 1e-12
    feasible: float = 1e-9
