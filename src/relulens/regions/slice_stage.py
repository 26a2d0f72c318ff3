"""What one nonlinear node does on the cells of a slice."""

from dataclasses import dataclass

import numpy as np
import torch

from relulens.graph.freeze import two_slope_value
from relulens.graph.nodes import TwoSlope
from relulens.numerics.kernels import planar
from relulens.regions.slice_basis import ROUND, Basis, Combined
from relulens.regions.slice_cut import Cut, Functions, Signs, cut, vertex_signs
from relulens.regions.slice_exact import ExactSigns
from relulens.regions.slice_mesh import Integers, Mesh, Words

_ONE = np.uint64(1)


@dataclass(slots=True, eq=False, kw_only=True)
class Stage:
    """The codes of one node on the cells that it leaves.

    Attributes:
        node: Index of the node.
        code: Codes where they are the same on all cells [size].
        varied: Flat positions of the entries whose code varies.
        bits: Their codes on the cells, as bitsets (two slopes).
        winners: Their codes on the cells, as flat positions (a maximum).
        parents: The cell before this node of every cell after it; nothing if it cut
            nothing.
    """

    node: int
    code: Integers
    varied: Integers
    bits: Words | None = None
    winners: Integers | None = None
    parents: Integers | None = None

    def codes(self, cell: int) -> Integers:
        """Return the codes of all entries on one cell."""
        code = self.code.astype(np.int64)
        if self.bits is not None and len(self.varied):
            flags = np.unpackbits(self.bits[cell].view(np.uint8), bitorder="little")
            code[self.varied] = flags[: len(self.varied)]
        if self.winners is not None and len(self.varied):
            code[self.varied] = self.winners[cell]
        return code


@dataclass(slots=True, eq=False, kw_only=True)
class State:
    """The mesh and the basis on it, as they grow.

    Attributes:
        mesh: The cells so far.
        basis: The basis functions at its vertices.
        exact: Decides what rounding leaves open.
        stages: What the nonlinear nodes so far do on the cells.
        values: The values of nodes that are still read.
    """

    mesh: Mesh
    basis: Basis
    exact: ExactSigns
    stages: list[Stage]
    values: dict[int, Combined]

    def grow(self, made: Cut) -> None:
        """Take the mesh of a cut, and extend what is known at its vertices."""
        self.mesh = made.mesh
        if self.basis.direct:
            for value in self.values.values():
                rows = extended(value.parts.flatten(1).numpy(), made)
                shape = value.parts.shape[1:]
                value.parts = torch.from_numpy(rows).reshape(-1, *shape)
            self.basis.values = np.zeros((len(made.mesh.places), 0))
        else:
            self.basis.extend_rows(extended(self.basis.values, made))


def two_slope_stage(
    state: State, index: int, node: TwoSlope, read: Combined, *, last: bool
) -> Combined | None:
    """Cut the cells by the units of a two-slope node and return its value.

    Args:
        state: The mesh and basis; both are replaced.
        index: The node's index.
        node: The node.
        read: The value of its argument.
        last: Whether nothing reads the value any more.
    """
    z, limits = state.basis.at_vertices(read, state.mesh)
    slack = float(state.mesh.errors.max())
    margin = limits[0] + slack * limits[1]
    low, high = z.min(0), z.max(0)
    on = low > margin
    varied = np.flatnonzero(~on & (high >= -margin) & ((margin > 0) | (high > 0)))
    # A unit that is nowhere positive is off, also where it is zero.
    code = on.astype(np.int8)
    functions = Functions(
        node=node.source,
        unit=varied,
        other=np.full(len(varied), -1),
        values=np.ascontiguousarray(z[:, varied]) if len(varied) < z.shape[1] else z,
        limits=np.ascontiguousarray(limits[:, varied]),
    )
    signs = vertex_signs(state.mesh, functions, state.exact)
    bits: Words
    made: Cut | None = None
    if len(varied) and any_change(signs):
        made = cut(state.mesh, functions, signs, index, state.exact)
        bits = made.codes
    else:
        mesh = state.mesh
        bits, _ = planar.cell_signs(
            mesh.offsets, mesh.corners, signs.positive, signs.negative
        )
    state.stages.append(
        Stage(
            node=index,
            code=code,
            varied=varied,
            bits=bits,
            parents=None if made is None else made.parents,
        )
    )
    if last:
        if made is not None:
            state.mesh = made.mesh
        return None
    values = functions.values
    if made is not None:
        values = extended(values, made)
        state.grow(made)
    low, high = _slopes(node)
    features = planar.features(
        values,
        state.mesh.offsets,
        state.mesh.corners,
        bits,
        low[varied],
        high[varied],
    )
    if state.basis.direct:
        return _direct_value(node, read, varied, features)
    code = np.where(code > 0, high, low)
    return _two_slope_value(
        state, node, read, (code, varied), features, functions.limits
    )


def _slopes(node: TwoSlope) -> tuple[np.ndarray, np.ndarray]:
    """Return the slopes of all units, flat."""
    low, high = (
        s.to(torch.float64).expand(node.shape).flatten().numpy()
        for s in (node.negative, node.positive)
    )
    return low, high


def any_change(signs: Signs) -> bool:
    """Tell whether a function has both signs at vertices."""
    up = np.bitwise_or.reduce(signs.positive, axis=0)
    down = np.bitwise_or.reduce(signs.negative, axis=0)
    return bool((up & down).any())


def extended(rows: np.ndarray, made: Cut) -> np.ndarray:
    """Return values at old vertices with those at new ones, affine in between."""
    more = np.empty((len(rows) + len(made.first), rows.shape[1]))
    more[: len(rows)] = rows
    planar.mix_rows(more, len(rows), made.first, made.second, made.place)
    return more


def _direct_value(
    node: TwoSlope, read: Combined, varied: Integers, features: np.ndarray
) -> Combined:
    """Return a two-slope node's value where values at vertices are at hand."""
    gain = torch.maximum(node.negative.abs(), node.positive.abs()).to(torch.float64)
    value = two_slope_value(node, read.parts)
    value.flatten(1)[:, torch.from_numpy(varied)] = torch.from_numpy(features)
    return Combined(value, gain * read.error, gain * read.size, True)


def _two_slope_value(
    state: State,
    node: TwoSlope,
    read: Combined,
    slopes: tuple[np.ndarray, Integers],
    features: np.ndarray,
    limits: np.ndarray,
) -> Combined:
    """Return a two-slope node's value; units that vary become basis functions."""
    slope, varied = slopes
    size = slope.shape[0]
    slope[varied] = 0.0
    low, high = _slopes(node)
    gain = np.maximum(np.abs(low), np.abs(high))[varied]
    slack = float(state.mesh.errors.max())
    basis = state.basis
    before = basis.values.shape[1]
    rounding = 4 * ROUND * np.abs(features).max(0, initial=0.0)
    basis.extend(features, gain * limits[0] + rounding, gain * limits[1], slack)
    factor = torch.from_numpy(slope)
    parts = torch.zeros((before + len(varied), size), dtype=torch.float64)
    kept = read.parts.shape[0]
    torch.mul(read.parts.flatten(1), factor, out=parts[:kept])
    parts[before + np.arange(len(varied)), varied] = 1.0
    error = read.error.flatten() * factor.abs()
    largest = read.size.flatten() * factor.abs()
    largest[varied] = torch.from_numpy(basis.largest[before:])
    shape = node.shape
    return Combined(
        parts.reshape(-1, *shape),
        error.reshape(shape),
        largest.reshape(shape),
        settled=True,
    )
