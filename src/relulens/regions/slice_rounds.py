"""Units of one node that cells are cut by in several rounds.

A stage that cuts few cells by very many units at once would make more cells than memory
has room for, and take longer than a budget allows. It is cut by some of its units; the
cells are divided, and each part is cut by the rest.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from relulens.graph.nodes import TwoSlope
from relulens.numerics.kernels import planar
from relulens.regions.slice_mesh import Floats, Integers, Mesh

_FEW = 1024
"""Cells up to which the first round of a stage looks at how many there will be."""

_CELL = 512
"""Bytes that a cell takes while it is cut, without values at its vertices."""

_CROSSING = 1 / 3
"""Pairs of chords of a cell of which one crosses the other, about."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Round:
    """What one round of a two-slope node does.

    Attributes:
        node: The node, the identity on units of other rounds.
        varied: Units to cut by.
        decided: Flat positions of the units that this round decides; nothing for all.
        rest: Which units later rounds decide, or nothing if this is the last one.
    """

    node: TwoSlope
    varied: Integers
    decided: Integers | None
    rest: NDArray[np.bool_] | None


def round_of(
    mesh: Mesh,
    node: TwoSlope,
    at_vertices: tuple[Floats, Floats],
    varied: Integers,
    *,
    rest: NDArray[np.bool_] | None,
    room: int,
    functions: int,
    last: bool,
) -> Round:
    """Return what is cut by now.

    Args:
        mesh: The cells.
        node: The node.
        at_vertices: Its argument there [V, n], and how large it is surely not 0 [n].
        varied: Units that may change sign.
        rest: Which units earlier rounds left; nothing if this is the first one.
        room: Bytes that the cells may take.
        functions: How many functions have values at vertices besides.
        last: Whether no values are needed if all units are cut by.
    """
    if rest is not None:
        varied = varied[rest[varied]]
    count, row = len(varied), 8 * (at_vertices[0].shape[1] + functions)
    most = mesh.cells * _pieces(np.array(count)) * (row + 8 * count)
    if count and most > room and (rest is not None or mesh.cells <= _FEW):
        count = _units(mesh, at_vertices, varied, room, row, last=last)
    if rest is None and count == len(varied):
        return Round(node=node, varied=varied, decided=None, rest=None)
    size = at_vertices[0].shape[1]
    decided = np.ones(size, bool) if rest is None else rest.copy()
    decided[varied[count:]] = False
    later = np.zeros(size, bool)
    later[varied[count:]] = True
    return Round(
        node=_alone(node, decided),
        varied=varied[:count],
        decided=np.flatnonzero(decided),
        rest=later if later.any() else None,
    )


def _units(
    mesh: Mesh,
    at_vertices: tuple[Floats, Floats],
    varied: Integers,
    room: int,
    row: int,
    *,
    last: bool,
) -> int:
    """Return by how many of the units cells are cut at once."""
    (z, margin), n = at_vertices, len(varied)
    positive, negative, _ = planar.sign_bits(
        np.ascontiguousarray(z[:, varied]), margin[varied], np.zeros(n), mesh.errors
    )
    ups, downs = planar.cell_signs(mesh.offsets, mesh.corners, positive, negative)
    chords = np.bitwise_count(ups & downs).astype(np.int64).cumsum(1)
    cells = _pieces(chords).sum(0)
    if last and cells[-1] * _CELL <= room:
        return n
    taken = 64 * np.arange(1, chords.shape[1] + 1)
    size = cells * (row + 8 * taken)
    return min(64 * max(int(np.searchsorted(size, room, side="right")), 1), n)


def _pieces(chords: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return into about how many pieces chords divide a cell."""
    return 1.0 + chords + _CROSSING / 2 * chords * (chords - 1.0)


def _alone(node: TwoSlope, decided: NDArray[np.bool_]) -> TwoSlope:
    """Return a node that leaves other units as they are."""
    kept = torch.from_numpy(decided).reshape(node.shape)
    one = torch.ones((), dtype=torch.float64)
    return replace(
        node,
        negative=torch.where(kept, node.negative.to(torch.float64), one),
        positive=torch.where(kept, node.positive.to(torch.float64), one),
    )
