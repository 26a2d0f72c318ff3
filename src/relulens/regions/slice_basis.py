"""Node values as combinations of few functions on the plane, with rounding bounds.

On a slice most units keep one sign. Every node's value is ``sum of c_i * phi_i`` where
phi is (1, s, t) and the features of the units that do change sign, so a linear map is
applied to the coefficients alone, and values at vertices are one matrix product.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import AlongAxis
from relulens.graph.nodes import Affine
from relulens.graph.sharing import shares_memory
from relulens.numerics.kernels import planar
from relulens.regions.plane import Plane
from relulens.regions.slice_mesh import Mesh

Floats = NDArray[np.float64]

ROUND = 2.0**-52

_LOOSE = 1e-11
"""Relative rounding past which it is bounded cell by cell."""

_SHORT = 1e-6
"""Edges shorter than this part of the longest tell no slope."""

_SAFETY = 8.0
"""Times the steepest slope seen along an edge that stands for the steepest there is."""

_SLOPES = 256
"""Longest edges along which slopes are looked at where values are at hand."""

_ROWS = 500_000
"""Numbers of a table that is made for that at once."""


@dataclass(slots=True, eq=False)
class Combined:
    """A node's value as a combination of the basis functions.

    Attributes:
        parts: Coefficients [m, *shape], for the first m functions.
        error: Bound on what rounding of the coefficients adds anywhere [*shape].
        size: Bound on the sum of absolute terms, here and on the way [*shape].
        settled: Whether a value at a vertex is 0 if and only if it is exactly 0.
    """

    parts: Tensor
    error: Tensor
    size: Tensor
    settled: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class Basis:
    """The basis functions at the vertices of a mesh.

    Attributes:
        values: [V, m]; columns 1, s, t, then features of units that change sign.
        errors: Bound on the error of every function's values at a point [m].
        steep: How much an error of the place counts in every function [m].
        largest: Largest absolute value of every function [m].
        trust: Rounding, in parts of the sum of absolute terms, past which the proved
            bound is not followed: it grows geometrically with depth, rounding does not.
        proved: Whether the proved bound was followed everywhere.
        direct: Whether parts of nodes are their values at the vertices instead.
        absolutes: Absolute maps made so far, by the identity of the map.
    """

    values: Floats
    errors: Floats
    steep: Floats
    largest: Floats
    trust: float
    proved: bool = True
    direct: bool = False
    absolutes: dict[int, LinearMap] = field(default_factory=dict)

    @classmethod
    def of_places(cls, places: Floats, trust: float) -> "Basis":
        """Return the basis (1, s, t) at places [V, 2]."""
        values = np.concatenate([np.ones((len(places), 1)), places], axis=1)
        return cls(
            values=values,
            errors=np.zeros(3),
            steep=np.array([0.0, 1.0, 1.0]),
            largest=np.abs(values).max(0),
            trust=trust,
        )

    @property
    def size(self) -> int:
        """Number of functions."""
        return self.errors.shape[0]

    def extend_rows(self, values: Floats) -> None:
        """Take the values at old and new vertices, and the rounding of the new ones.

        Args:
            values: [V, m or more]; columns beyond the functions are still to be filled.
        """
        self.values = values
        self.errors = self.errors + 4 * ROUND * self.largest

    def widen(self, count: int) -> None:
        """Make room for further functions."""
        wide = np.empty((len(self.values), self.size + count))
        wide[:, : self.size] = self.values[:, : self.size]
        self.values = wide

    def extend(self, errors: Floats, steep: Floats, slack: float) -> None:
        """Add functions whose values stand in the columns behind the others.

        Args:
            errors: Bounds on the errors, but for the rounding of the values.
            steep: How much an error of the place counts.
            slack: Largest error of a place.
        """
        added = self.values[:, self.size :]
        low, high = planar.column_ranges(added)
        top = np.maximum(high, -low)
        errors = errors + 4 * ROUND * top
        self.errors = np.concatenate([self.errors, errors])
        self.steep = np.concatenate([self.steep, steep])
        self.largest = np.concatenate([self.largest, top + errors + steep * slack])

    def shed(self, used: NDArray[np.bool_], values: Iterable[Combined]) -> None:
        """Forget functions that have no part in any value any more.

        Args:
            used: Which functions are kept [m]; 1, s, t always are.
            values: All values that are still read.
        """
        used[:3] = True
        if 8 * used.sum() > 7 * len(used):
            return
        self.values = self.values[:, used]
        self.errors, self.steep = self.errors[used], self.steep[used]
        self.largest = self.largest[used]
        kept = torch.from_numpy(used)
        for value in values:
            value.parts = value.parts[kept[: value.parts.shape[0]]]

    def on_plane(self, plane: Plane) -> Combined:
        """Return the network's input on the plane."""
        parts = torch.cat([plane.origin[None], plane.directions])
        largest = torch.from_numpy(self.largest[:3])
        size = torch.tensordot(largest, parts.abs(), 1)
        return Combined(parts, torch.zeros_like(size), size)

    def affine(self, node: Affine, read: dict[int, Combined]) -> Combined:
        """Return the value of an affine node from those it reads."""
        shape = node.shape
        least = len(self.values) if self.direct else 3
        rows = max([read[t.source].parts.shape[0] for t in node.terms], default=least)
        total: Tensor | None = None
        error = torch.zeros(shape, dtype=torch.float64)
        size = torch.zeros(shape, dtype=torch.float64)
        for term in node.terms:
            value = read[term.source]
            part = term.map.apply(value.parts)
            total = _sum(total, part, rows)
            reach = self._reach(term.map, value)
            error += reach[0] + ROUND * _fan(term.map) * reach[1]
            size += reach[1]
        if total is None:
            total = torch.zeros((rows, *shape), dtype=torch.float64)
        if node.bias is not None:
            bias = node.bias.to(torch.float64)
            # The map may have given its argument back.
            total = total.clone() if _lent(total, read, node) else total
            if self.direct:
                total += bias
            else:
                total[0] += bias
            size = size + bias.abs()
        error += ROUND * (len(node.terms) + 1) * size
        return Combined(total, error, size)

    def _reach(self, linear: LinearMap, value: Combined) -> Tensor:
        """Return what a map makes of a value's error and size, absolutely [2, *]."""
        if isinstance(linear, AlongAxis) and len(linear.in_shape) == 1:
            matrix = linear.matrix.numpy()
            both = value.error.numpy(), value.size.numpy()
            return torch.from_numpy(planar.absolute_products(matrix, *both))
        key = id(linear)
        if key not in self.absolutes:
            self.absolutes[key] = linear.absolute().map
        return self.absolutes[key].apply(torch.stack([value.error, value.size]))

    def at_vertices(self, value: Combined, mesh: Mesh) -> tuple[Floats, Floats]:
        """Return values [V, n] of a node and their rounding and steepness [2, n].

        Args:
            value: The node's value.
            mesh: The mesh; its cells say which functions can add up to an error.
        """
        if self.direct:
            return self._direct(value, mesh)
        parts = value.parts.flatten(1)
        m = parts.shape[0]
        z = _product(self.values[:, :m], parts)
        size = value.size.flatten()
        weights = np.stack([self.errors[:m], self.steep[:m], self.largest[:m]])
        scale = parts.abs()
        reach = torch.from_numpy(weights) @ scale
        own = value.error.flatten() + ROUND * ((m + 4) * reach[2] + 2 * size)
        spread = (
            float((reach[0] / reach[2].clamp(min=1e-300)).max())
            if m > 3 and reach.numel()
            else 0.0
        )
        rounding, steep = reach[0] + own, reach[1]
        trusted = self.trust * reach[2]
        # Where the sum's own error is past trust already, cells would not help.
        if spread > _LOOSE and bool(((own <= trusted) & (trusted > 0)).any()):
            bound, steep = self._reach_of_cells(scale, mesh)
            rounding = bound + own
        capped = (rounding > trusted) & (trusted > 0)
        if bool(capped.any()):
            self.proved = False
            rounding = torch.where(capped, trusted, rounding)
            steep = torch.minimum(steep, _SAFETY * _observed(z, mesh))
        return z.numpy(), torch.stack([rounding, steep]).numpy()

    def _direct(self, value: Combined, mesh: Mesh) -> tuple[Floats, Floats]:
        """Return values at vertices that are at hand, with rounding and steepness."""
        z = value.parts.flatten(1)
        rounding = value.error.flatten() + 2 * ROUND * value.size.flatten()
        if z.shape[1]:
            trusted = self.trust * z.abs().max(0).values
            self.proved = self.proved and not bool((rounding > trusted).any())
            rounding = torch.minimum(rounding, trusted)
        steep = _SAFETY * _observed(z, mesh, _SLOPES)
        return z.numpy(), torch.stack([rounding, steep]).numpy()

    def _reach_of_cells(self, scale: Tensor, mesh: Mesh) -> Tensor:
        """Return errors and steepness by the functions that are not zero on a cell.

        A function that is zero on a cell adds no error there; in deep networks that is
        half of them in every layer.
        """
        m = scale.shape[0]
        reach = torch.zeros((2, scale.shape[1]), dtype=torch.float64)
        per = max(_ROWS // m, 1)
        for start in range(0, mesh.cells, per):
            stop = min(start + per, mesh.cells)
            rows = planar.supports(
                self.values, self.errors[:m], mesh.offsets, mesh.corners, start, stop
            )
            rows[:, :3] = 1.0
            some = torch.from_numpy(rows)
            for place, weight in enumerate((self.errors, self.steep)):
                part = (some @ (scale * torch.from_numpy(weight[:m, None]))).max(0)
                reach[place] = torch.maximum(reach[place], part.values)
        return reach


def _product(values: Floats, parts: Tensor) -> Tensor:
    """Return the product, without functions that have no part in any entry."""
    used = (parts != 0).any(1).numpy()
    if 4 * used.sum() < 3 * len(used):
        return torch.from_numpy(values[:, used]) @ parts[torch.from_numpy(used)]
    return torch.from_numpy(values) @ parts


def _lent(total: Tensor, read: dict[int, Combined], node: Affine) -> bool:
    """Tell whether a sum lies in the memory of what was read."""
    return (
        any(shares_memory(total, read[term.source].parts) for term in node.terms)
        or not total.is_contiguous()
    )


def _observed(z: Tensor, mesh: Mesh, most: int | None = None) -> Tensor:
    """Return the steepest slopes of functions along edges that are not tiny."""
    along = mesh.places[mesh.edges[:, 1]] - mesh.places[mesh.edges[:, 0]]
    far = np.hypot(along[:, 0], along[:, 1])
    kept = np.flatnonzero(far > _SHORT * far.max())
    if most is not None and len(kept) > most:
        kept = kept[np.argpartition(-far[kept], most)[:most]]
    slopes = planar.steepest_slopes(z.numpy(), mesh.edges, far, kept)
    return torch.from_numpy(slopes)


def _fan(linear: LinearMap) -> int:
    """Return a bound on the products that an entry adds up, two more for rounding."""
    # Counting the entries of a dense matrix takes longer than using it.
    if isinstance(linear, AlongAxis):
        return linear.in_shape[linear.axis] + 2
    return linear.fans()[0] + 2


def _sum(total: Tensor | None, part: Tensor, rows: int) -> Tensor:
    """Return a sum of coefficients of which one may have fewer rows."""
    if part.shape[0] < rows:
        missing = part.new_zeros((rows - part.shape[0], *part.shape[1:]))
        part = torch.cat([part, missing])
    return part if total is None else total + part
