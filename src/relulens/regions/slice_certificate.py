"""The evidence that a partition is right."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceCertificate:
    """What was decided how, and the sums that must come out.

    Attributes:
        area: Area of the domain.
        finished_area: Sum of the cells' areas.
        complete: Whether all of the domain was finished.
        vertices: Number of vertices.
        edges: Number of edges.
        cells: Number of cells.
        negative_areas: Cells whose area comes out negative, as their corners are
            closer together than their rounding.
        unmatched_edges: Edges between parts that the two sides cut differently, where
            both are finished.
        exact_signs: Signs that rounding left open and that were decided exactly.
        undecided_signs: Signs that rounding left open and time did not allow to decide.
        proved_signs: Whether all other signs are beyond a proved bound on rounding,
            not only beyond ``tol.sign``.
        largest_error: Bound on the error of a coordinate of any vertex.
    """

    area: float
    finished_area: float
    complete: bool
    vertices: int
    edges: int
    cells: int
    negative_areas: int
    unmatched_edges: int
    exact_signs: int
    undecided_signs: int
    proved_signs: bool
    largest_error: float

    @property
    def euler(self) -> int:
        """Vertices less edges plus cells: 1 for a polygon without holes."""
        return self.vertices - self.edges + self.cells

    @property
    def area_difference(self) -> float:
        """The cells' area less the domain's."""
        return self.finished_area - self.area
