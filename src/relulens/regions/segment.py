"""How many linear regions a straight line between two inputs passes through."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.convert import converted
from relulens.graph.linear_map import LinearMap
from relulens.graph.network import Network
from relulens.graph.nodes import Input, Maximum, TwoSlope, sources
from relulens.graph.polyhedral import Polyhedral, polyhedral, source_name
from relulens.regions.line import Piece, TooManyError
from relulens.regions.line_exact import LineSigns, exact_line
from relulens.regions.slice_exact import Spent
from relulens.regions.values import Rounded, step

CHUNK_BYTES = 64 << 20
"""Bytes of one node's values along one piece of the line."""

_FULL = 0.7493827
"""Share of the kinks that fit which the next piece is expected to have."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SegmentRegions:
    """The linear regions along a straight line between two inputs.

    Attributes:
        count: Number of regions on ``[0, reached]``.
        t: Where the line passes from one region into the next, increasing, in (0, 1).
        layer: Name of the layer that switches at each of them.
        unit: Flat position of a unit that switches there.
        complete: Whether the whole line was followed.
        reached: The parameter up to which it was.
        doubtful: Signs and orders that rounding left open and for whose exact decision
            there was no time; they were counted as zero, and as one place.
        decided: Signs and orders that rounding left open, decided in whole numbers.
        proved: Whether the count is exact: with nothing doubtful, and proved bounds on
            rounding throughout. In deep networks these are too large to tell anything;
            there, rounding is taken for that of the last sum, 32 times.
        length: Euclidean length of the line.
    """

    count: int
    t: Float[Tensor, " k"]
    layer: tuple[str, ...]
    unit: Int[Tensor, " k"]
    complete: bool
    reached: float
    doubtful: int
    decided: int
    proved: bool
    length: float

    def __len__(self) -> int:
        """Return the number of regions."""
        return self.count

    def __repr__(self) -> str:
        """Return the count on one line."""
        whole = "" if self.complete else f" up to t = {self.reached:.4g}"
        doubt = f", {self.doubtful} ties doubtful" if self.doubtful else ""
        return f"SegmentRegions({self.count} regions{whole}{doubt})"


def regions_on_segment(
    network: Network,
    start: object,
    end: object,
    /,
    *,
    layers: int | str | None = None,
    budget: int | None = None,
    exact_seconds: float = 60.0,
    progress: Callable[[int, int], None] | None = None,
) -> SegmentRegions:
    """Return every linear region on the straight line between two inputs.

    The network is piecewise affine in the line's parameter: values at the kinks so far
    are pushed through it node by node, and every node adds the kinks of its own.

    Args:
        network: A network that is piecewise affine up to the layer, of any size.
        start: One input, of the network's input shape or with a batch axis of 1.
        end: Another one.
        layers: Take the layers up to this one; all of them by default.
        budget: Most regions; beyond it the rest of the line is left out, and said so.
        exact_seconds: Time for exact decisions; what is left open is counted.
        progress: Called with thousandths of the line done and 1000.

    Raises:
        InvalidArgumentError: Start and end are equal, or several inputs are given.
        ShapeError: An end has another shape than the network's input.
        NotFiniteError: An end holds NaN or infinite numbers.
        NotPolyhedralError: A node is not piecewise affine; all are named.

    Cost:
        About one forward pass a region; memory is bounded, as the line is cut.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[1.0], [1.0]], [0.0, -1.0]), ([[1.0, 1.0]], None)])
        >>> regions_on_segment(network, [-1.0], [3.0]).t.tolist()
        [0.25, 0.5]
    """
    node = network.find(layers)
    polyhedral(network, node, question="regions_on_segment")
    ends = [_one(network, x, name) for x, name in ((start, "start"), (end, "end"))]
    if torch.equal(*ends):
        raise InvalidArgumentError(
            "cannot count regions on a segment: start and end are equal, and 2"
            " different inputs are needed. Pass another end."
        )
    if budget is not None and budget < 1:
        raise InvalidArgumentError(
            f"cannot count regions on a segment: the budget is {budget}, and 1 is the"
            " least. Raise it."
        )
    exact = converted(network.with_output(node), torch.float64, torch.device("cpu"))
    region = polyhedral(exact, node)
    with torch.no_grad():
        two = ends[0].cpu().double(), ends[1].cpu().double()
        walk = _Walk(region, two, budget, exact_seconds)
        walk.run(progress)
    return walk.result(network.device)


def _one(network: Network, x: object, subject: str) -> Tensor:
    value = x if isinstance(x, Tensor) else torch.as_tensor(np.asarray(x))
    if tuple(value.shape) == network.input_shape:
        value = value[None]
    point = network.as_input(value, subject=subject)
    if point.shape[0] != 1:
        raise InvalidArgumentError(
            f"cannot count regions on a segment: {subject} holds {point.shape[0]}"
            " inputs, and 1 is needed. Pass one input each."
        )
    return point[0]


class _Walk:
    """The pieces of a line, one after another."""

    def __init__(
        self,
        region: Polyhedral,
        ends: tuple[Tensor, Tensor],
        budget: int | None,
        seconds: float,
    ) -> None:
        start, end = ends
        self._region, self._start, self._direction = region, start, end - start
        self._spent = Spent(seconds=seconds)
        self._exact = exact_line(region, start, self._direction, self._spent)
        self._absolutes: dict[int, LinearMap] = {}
        self._proved = True
        self._noise = _noise(region, torch.stack([start, end]))
        largest = max(
            torch.Size(region.network.nodes[i].shape).numel() for i in region.nodes
        )
        self._most = max(64, CHUNK_BYTES // (8 * largest))
        self._budget = budget
        self._t: list[NDArray[np.float64]] = []
        self._node: list[NDArray[np.int64]] = []
        self._unit: list[NDArray[np.int64]] = []
        self._last: dict[int, NDArray[np.int64]] = {}
        self._count, self._doubtful, self._reached = 1, 0, 0.0

    def run(self, progress: Callable[[int, int], None] | None) -> None:
        """Follow the line from the start until the end or the budget."""
        low, length = 0.0, 1.0
        while low < 1.0:
            high = min(low + length, 1.0)
            piece = self._piece(low, high)
            try:
                piece.run()
            except TooManyError:
                # Not the middle: there, symmetric inputs often have kinks.
                length = 0.4938271 * (high - low)
                continue
            if not self._take(piece, low, high):
                return
            if progress is not None:
                progress(int(1000 * high), 1000)
            low, room = high, _FULL * self._most / len(piece.t)
            length *= min(room, 2.0)

    def _piece(self, low: float, high: float) -> Piece:
        return Piece(
            region=self._region,
            start=self._start,
            direction=self._direction,
            noise=self._noise,
            signs=LineSigns(self._exact, low, high),
            absolutes=self._absolutes,
            most=self._most,
            t=np.array([low, high]),
        )

    def _take(self, piece: Piece, low: float, high: float) -> bool:
        """Add a piece's kinks; return whether the budget allows more."""
        seam = _first_change(self._last, piece.first)
        t, node, unit = piece.t[1:-1], piece.node[1:-1], piece.unit[1:-1]
        if seam is not None:
            t = np.append(low, t)
            node, unit = np.append(seam[0], node), np.append(seam[1], unit)
        left = None if self._budget is None else self._budget - self._count
        self._reached = high
        if left is not None and len(t) > left:
            self._reached = float(t[left])
            t, node, unit = t[:left], node[:left], unit[:left]
        self._t.append(t)
        self._node.append(node)
        self._unit.append(unit)
        self._count += len(t)
        self._doubtful += piece.doubtful
        self._proved = self._proved and piece.proved
        self._last = piece.last
        return self._reached == high

    def result(self, device: torch.device) -> SegmentRegions:
        """Return what was found."""
        nodes = np.concatenate(self._node)
        names = {int(i): source_name(self._region.network, int(i)) for i in set(nodes)}
        return SegmentRegions(
            count=self._count,
            t=torch.from_numpy(np.concatenate(self._t)).to(device),
            layer=tuple(names[int(i)] for i in nodes),
            unit=torch.from_numpy(np.concatenate(self._unit)).to(device),
            complete=self._reached == 1.0,
            reached=self._reached,
            doubtful=self._doubtful,
            decided=self._spent.decided,
            proved=self._proved and not self._doubtful,
            length=float(self._direction.norm()),
        )


def _first_change(
    before: dict[int, NDArray[np.int64]], after: dict[int, NDArray[np.int64]]
) -> tuple[int, int] | None:
    for node, code in before.items():
        changed = np.nonzero(code != after[node])[0]
        if len(changed):
            return node, int(changed[0])
    return None


def _noise(region: Polyhedral, ends: Tensor) -> dict[int, NDArray[np.float64]]:
    """Return below what every nonlinear node's argument counts as zero on the line.

    It is 32 times the rounding of the last sum at five points of the line. A running
    bound through all layers would be sure, but in deep networks far too large to tell
    anything.
    """
    weights = torch.linspace(0, 1, 5, dtype=torch.float64)
    x = torch.stack([torch.lerp(ends[0], ends[1], float(w)) for w in weights])
    t = Rounded(torch.ones(len(x)).double(), torch.zeros(len(x)).double())
    values: dict[int, Rounded] = {}
    absolutes: dict[int, LinearMap] = {}
    found: dict[int, NDArray[np.float64]] = {}
    order = sorted(region.nodes)
    for place, index in enumerate(order):
        node = region.nodes[index]
        if isinstance(node, Input):
            values[index] = Rounded(x, torch.zeros_like(x))
            continue
        if isinstance(node, TwoSlope | Maximum):
            argument = values[node.source]
            error = 32 * argument.error.flatten(1).amax(0).numpy()
            found[index] = error
        value = step(node, values, t, absolutes)
        if isinstance(node, TwoSlope | Maximum):
            value = Rounded(value.value, torch.zeros_like(value.value))
        values[index] = value
        read = {j for i in order[place + 1 :] for j in sources(region.nodes[i])}
        for spent in [i for i in values if i not in read]:
            del values[spent]
    return found
