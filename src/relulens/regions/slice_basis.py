"""Node values as combinations of few functions on the plane, with rounding bounds.

On a slice most units keep one sign. Every node's value is ``sum of c_i * phi_i`` where
phi is (1, s, t) and the features of the units that do change sign, so a linear map is
applied to the coefficients alone, and values at vertices are one matrix product.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relulens.graph.nodes import Affine
from relulens.regions.plane import Plane

Floats = NDArray[np.float64]

ROUND = 2.0**-52


@dataclass(slots=True, eq=False)
class Combined:
    """A node's value as a combination of the basis functions.

    Attributes:
        parts: Coefficients [m, *shape], for the first m functions.
        error: Bound on what rounding of the coefficients adds anywhere [*shape].
        size: Bound on the sum of absolute terms, here and on the way [*shape].
    """

    parts: Tensor
    error: Tensor
    size: Tensor


@dataclass(slots=True, eq=False, kw_only=True)
class Basis:
    """The basis functions at the vertices of a mesh.

    Attributes:
        values: [V, m]; columns 1, s, t, then features of units that change sign.
        errors: Bound on the error of every function's values at a point [m].
        steep: How much an error of the place counts in every function [m].
        largest: Largest absolute value of every function [m].
    """

    values: Floats
    errors: Floats
    steep: Floats
    largest: Floats
    _absolute: dict[tuple[str, int], object] = field(default_factory=dict)

    @classmethod
    def of_places(cls, places: Floats) -> "Basis":
        """Return the basis (1, s, t) at places [V, 2]."""
        values = np.concatenate([np.ones((len(places), 1)), places], axis=1)
        return cls(
            values=values,
            errors=np.zeros(3),
            steep=np.array([0.0, 1.0, 1.0]),
            largest=np.abs(values).max(0),
        )

    def extend(
        self, values: Floats, errors: Floats, steep: Floats, slack: Floats
    ) -> None:
        """Add functions, the features of units at all vertices [V, k].

        Args:
            values: Their values.
            errors: Bounds on the errors.
            steep: How much an error of the place counts.
            slack: Largest error of a place.
        """
        self.values = np.concatenate([self.values, values], axis=1)
        self.errors = np.concatenate([self.errors, errors])
        self.steep = np.concatenate([self.steep, steep])
        top = np.abs(values).max(0) + errors + steep * slack
        self.largest = np.concatenate([self.largest, top])

    def on_plane(self, plane: Plane) -> Combined:
        """Return the network's input on the plane."""
        parts = torch.cat([plane.origin[None], plane.directions])
        largest = torch.from_numpy(self.largest[:3])
        size = torch.tensordot(largest, parts.abs(), 1)
        return Combined(parts, torch.zeros_like(size), size)

    def affine(self, node: Affine, read: dict[int, Combined]) -> Combined:
        """Return the value of an affine node from those it reads."""
        shape = node.shape
        rows = max([read[t.source].parts.shape[0] for t in node.terms], default=3)
        total: Tensor | None = None
        error = torch.zeros(shape, dtype=torch.float64)
        size = torch.zeros(shape, dtype=torch.float64)
        for term in node.terms:
            value = read[term.source]
            part = term.map.apply(value.parts)
            total = _sum(total, part, rows)
            both = torch.stack([value.error, value.size])
            reach = term.map.absolute().map.apply(both)
            terms = math.prod(term.map.in_shape) if not term.map.rows_single else 1
            error += reach[0] + ROUND * min(terms, _fan(term.map)) * reach[1]
            size += reach[1]
        if total is None:
            total = torch.zeros((rows, *shape), dtype=torch.float64)
        if node.bias is not None:
            bias = node.bias.to(torch.float64)
            total = total.clone()
            total[0] += bias
            size = size + bias.abs()
        error += ROUND * (len(node.terms) + 1) * size
        return Combined(total, error, size)

    def at_vertices(
        self, value: Combined, columns: Tensor | None = None
    ) -> tuple[Floats, Floats]:
        """Return values [V, n] of a node and their rounding and steepness [2, n].

        Args:
            value: The node's value.
            columns: Flat positions of the entries wanted, or nothing for all.
        """
        parts = value.parts.flatten(1)
        error, size = value.error.flatten(), value.size.flatten()
        if columns is not None:
            parts, error, size = parts[:, columns], error[columns], size[columns]
        m = parts.shape[0]
        z = torch.from_numpy(self.values[:, :m]) @ parts
        weights = np.stack([self.errors[:m], self.steep[:m], self.largest[:m]])
        reach = torch.from_numpy(weights) @ parts.abs()
        rounding = reach[0] + error + ROUND * ((m + 4) * reach[2] + 2 * size)
        return z.numpy(), torch.stack([rounding, reach[1]]).numpy()


def _fan(linear: object) -> int:
    return linear.fans()[0] + 2


def _sum(total: Tensor | None, part: Tensor, rows: int) -> Tensor:
    """Return a sum of coefficients of which one may have fewer rows."""
    if part.shape[0] < rows:
        missing = part.new_zeros((rows - part.shape[0], *part.shape[1:]))
        part = torch.cat([part, missing])
    return part if total is None else total + part
