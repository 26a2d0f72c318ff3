"""Bounds of what every nonlinear node reads, over a batch of boxes."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.bounds.backward import Ball, Relaxation, Relaxed, lowest_and_highest
from relulens.bounds.images import AbsoluteAffine, largest, node_bounds
from relulens.bounds.lines import Between, maximum_lines, two_slope_lines
from relulens.bounds.optimised import optimised_bounds
from relulens.errors import InvalidArgumentError
from relulens.graph.convert import converted
from relulens.graph.coupled_bounds import Bounds
from relulens.graph.network import Network
from relulens.graph.nodes import (
    Affine,
    Coupled,
    Input,
    Maximum,
    Node,
    Smooth,
    TwoSlope,
    sources,
)

Method: TypeAlias = Literal["interval", "relaxation", "optimised"]
ROWS = 4096
_BYTES = 192 << 20
"""Bytes of the weights that one walk back may hold."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LayerBounds:
    """Bounds of the arguments of all nonlinear nodes, and of the output.

    Attributes:
        network: The network, float64.
        box: Bounds [N, *input_shape] of the input.
        lower: Lower bounds [N, *shape] by index of the node that is read.
        upper: Upper bounds, likewise.
        empty: Whether no input of the box has the signs asked for [N]; where it is
            true, the other bounds mean nothing. False does not say that there is one.
        method: How they were found.
        unrefined: Number of entries that a limit on rows left at interval bounds.
        rigorous: Whether all rounding is accounted for; if not, functions such as
            ``exp`` are trusted to be right to a relative 1e-12.
        relaxation: Lines of all nonlinear nodes, to bound other rows with.
    """

    network: Network
    box: Bounds
    lower: Mapping[int, Tensor]
    upper: Mapping[int, Tensor]
    empty: Tensor
    method: str
    unrefined: int
    rigorous: bool
    relaxation: Relaxation

    def argument(self, node: int) -> Bounds:
        """Return the bounds [N, *shape] of what a one-argument nonlinear node reads."""
        source = sources(self.network.nodes[node])[0]
        return self.lower[source], self.upper[source]

    @property
    def output(self) -> Bounds:
        """Bounds [N, *output_shape] of the output."""
        end = self.network.output
        return self.lower[end], self.upper[end]

    def rows(self, weights: Float[Tensor, "copies rows ..."]) -> Bounds:
        """Return bounds [N, rows] of rows of the output.

        Args:
            weights: [1 or N, rows, *output_shape].
        """
        return lowest_and_highest(self.relaxation, self.network.output, weights)


def checked_box(
    network: Network, low: object, high: object, *, subject: str = "the box"
) -> Bounds:
    """Return the bounds of boxes as float64, checked.

    Raises:
        InvalidArgumentError: A lower bound exceeds an upper one.
        ShapeError: The shape is another one.
        NotFiniteError: A bound is NaN or infinite.
    """
    least = network.as_input(low, subject=f"low of {subject}")
    most = network.as_input(high, subject=f"high of {subject}")
    if least.shape[0] != most.shape[0]:
        raise InvalidArgumentError(
            f"cannot bound a network on {subject}: {least.shape[0]} lower and"
            f" {most.shape[0]} upper corners are given. Give one of each a box."
        )
    crossed = int((least > most).sum())
    if crossed:
        worst = float((least - most).max())
        raise InvalidArgumentError(
            f"cannot bound a network on {subject}: low exceeds high in {crossed} of its"
            f" {least.numel()} entries, by up to {worst:g}. Swap them?"
        )
    return least, most


def layer_bounds(
    network: Network,
    low: object,
    high: object,
    /,
    *,
    method: Method = "relaxation",
    splits: Mapping[int, Tensor] | None = None,
    rows: int = ROWS,
    ball: Ball | None = None,
) -> LayerBounds:
    """Return bounds of the arguments of all nonlinear nodes over boxes of inputs.

    ``"interval"`` pushes boxes forward. ``"relaxation"`` refines them layer by layer:
    arguments that can have both signs are carried back to the input through lines below
    and above every nonlinear node. Refined bounds are intersected with those pushed
    forward, so they are never wider. Smooth and coupled nodes are bounded by intervals.
    ``"optimised"`` also chooses the slopes below units by gradient steps, for every row
    of its own, and intersects with ``"relaxation"``.

    Args:
        network: The network; its coefficients are widened to float64.
        low: Lowest inputs [N, *input_shape], one row a box.
        high: Highest inputs, likewise.
        method: ``"interval"``, ``"relaxation"`` or ``"optimised"``.
        splits: Signs asked of two-slope units: by index of the node, integers
            [N, *shape], 1 where the argument is at least zero, -1 where it is at most
            zero, 0 where nothing is asked.
        rows: Most entries of one layer that are refined; the widest are.
        ball: A ball that inputs lie in as well; intervals do not see it.

    Returns:
        Bounds that hold for every input of the box with the signs asked for. Rounding
        is accounted for, see ``rigorous``.

    Raises:
        InvalidArgumentError: A lower bound exceeds an upper one, or a split is no sign.
        ShapeError: The shape of the box or of a split is another one.
        NotFiniteError: A bound is NaN or infinite.
        UnboundedError: A node has no finite bounds on its box.

    Cost:
        Intervals: about three forward passes. Relaxation: two backward passes more for
        every refined entry; memory is bounded by taking them in pieces. Optimised:
        a hundred to two hundred times that.
    """
    if method not in {"interval", "relaxation", "optimised"}:
        raise InvalidArgumentError(
            f"cannot bound a network by method {method!r}: it is none of 'interval',"
            " 'relaxation' and 'optimised'. Use one of them; output_bounds has more."
        )
    wide = converted(network)
    box = checked_box(wide, low, high)
    asked = _checked_splits(wide, splits, box[0].shape[0])
    with torch.no_grad():
        if method != "optimised":
            return _Forward(wide, box, method, asked, rows, ball).run()
        plain = _Forward(wide, box, "relaxation", asked, rows, ball).run()
        return _Forward(wide, box, method, asked, rows, ball, plain).run()


def _checked_splits(
    network: Network, splits: Mapping[int, Tensor] | None, count: int
) -> dict[int, Tensor]:
    """Return the signs asked for, by the index of the node that is read."""
    asked: dict[int, Tensor] = {}
    for index, signs in (splits or {}).items():
        node = network.nodes[index]
        if not isinstance(node, TwoSlope):
            raise InvalidArgumentError(
                f"cannot split node {index}: it is of kind {type(node).__name__}, and"
                " only two-slope nodes have signs. Leave it out."
            )
        wanted = (count, *node.shape)
        if tuple(signs.shape) != wanted or not bool((signs.abs() <= 1).all()):
            raise InvalidArgumentError(
                f"cannot split node {index}: its signs are {list(signs.shape)} within"
                f" {int(signs.min())}..{int(signs.max())}, and {list(wanted)} of -1, 0"
                " and 1 are needed. Give one sign a unit and box."
            )
        before = asked.get(node.source)
        if before is not None and bool((before * signs < 0).any()):
            raise InvalidArgumentError(
                f"cannot split node {index}: it asks for signs of node {node.source}"
                " that contradict another node's. Ask for one of them."
            )
        asked[node.source] = (
            signs if before is None else torch.where(before == 0, signs, before)
        )
    return asked


class _Forward:
    """The walk forward: every node bounded, and arguments refined on the way."""

    def __init__(
        self,
        network: Network,
        box: Bounds,
        method: str,
        splits: Mapping[int, Tensor],
        rows: int,
        ball: Ball | None,
        plain: LayerBounds | None = None,
    ) -> None:
        self.network, self.box, self.method = network, box, method
        self.plain = plain
        self.splits, self.limit = splits, rows
        self.needed = sorted(network.ancestors(network.output))
        self.read = self._read()
        self.values: dict[int, Bounds] = {}
        self.sizes: dict[int, Tensor] = {}
        self.lines: dict[int, Relaxed] = {}
        self.known = {
            index: AbsoluteAffine.of(node)
            for index in self.needed
            if isinstance(node := network.nodes[index], Affine)
        }
        self.relaxation = Relaxation(
            network=network,
            box=box,
            known=self.known,
            lines=self.lines,
            sizes=self.sizes,
            ball=ball,
        )
        self.tight = frozenset() if ball else _tight(network, self.known)
        self.empty = torch.zeros(box[0].shape[0], dtype=torch.bool)
        self.empty = self.empty.to(box[0].device)
        self.unrefined = 0

    def _read(self) -> dict[int, list[Node]]:
        """Return the nonlinear nodes that read each node."""
        found: dict[int, list[Node]] = {self.network.output: []}
        for index in self.needed:
            node = self.network.nodes[index]
            if not isinstance(node, Input | Affine):
                for source in sources(node):
                    found.setdefault(source, []).append(node)
        return found

    def run(self) -> LayerBounds:
        """Walk, and return the bounds of what is read."""
        for index in self.needed:
            node = self.network.nodes[index]
            bounds, size = node_bounds(
                self.network, index, self.known, self.values, self.box
            )
            self.sizes[index] = largest(bounds) if size is None else size
            self._draw(index, node, bounds)
            if index in self.read and self.method != "interval":
                bounds = self._refined(index, bounds)
            if index in self.splits:
                bounds = self._split(index, bounds)
            self.values[index] = bounds
        curved = any(
            isinstance(self.network.nodes[i], Smooth | Coupled) for i in self.needed
        )
        return LayerBounds(
            network=self.network,
            box=self.box,
            lower={index: self.values[index][0] for index in self.read},
            upper={index: self.values[index][1] for index in self.read},
            empty=self.empty,
            method=self.method,
            unrefined=self.unrefined,
            rigorous=not curved,
            relaxation=self.relaxation,
        )

    def _draw(self, index: int, node: Node, bounds: Bounds) -> None:
        """Draw the lines of a nonlinear node between the bounds of its argument."""
        match node:
            case TwoSlope():
                self.lines[index] = two_slope_lines(node, self.values[node.source])
            case Maximum():
                self.lines[index] = maximum_lines(node, self.values[node.source])
            case Smooth() | Coupled():
                self.lines[index] = Between(low=bounds[0], high=bounds[1])
            case _:
                pass

    def _split(self, index: int, bounds: Bounds) -> Bounds:
        signs = self.splits[index]
        low = torch.where(signs > 0, bounds[0].clamp(min=0.0), bounds[0])
        high = torch.where(signs < 0, bounds[1].clamp(max=0.0), bounds[1])
        self.empty |= (low > high).flatten(1).any(1)
        return torch.minimum(low, high), torch.maximum(low, high)

    def _refined(self, index: int, bounds: Bounds) -> Bounds:
        """Return bounds intersected with those carried back to the input."""
        if index in self.tight or bounds[0].shape[0] == 0:
            return bounds
        low, high = bounds[0].flatten(1).clone(), bounds[1].flatten(1).clone()
        if self.plain is not None:
            low = torch.maximum(low, self.plain.lower[index].flatten(1))
            high = torch.minimum(high, self.plain.upper[index].flatten(1))
            shape = bounds[0].shape
            bounds = low.reshape(shape), high.reshape(shape)
        for part in self._pieces(self._chosen(index, bounds)):
            eye = torch.zeros((part.numel(), low.shape[1]), dtype=low.dtype)
            eye = eye.to(low.device)
            eye[torch.arange(part.numel(), device=low.device), part] = 1.0
            shape = (1, part.numel(), *self.network.nodes[index].shape)
            least, most = self._carried_back(index, eye.reshape(shape))
            low[:, part] = torch.maximum(low[:, part], least)
            high[:, part] = torch.minimum(high[:, part], most)
        # Signs that contradict each other leave an empty set, and bounds that cross.
        self.empty |= (low > high).any(1)
        low, high = torch.minimum(low, high), torch.maximum(low, high)
        return low.reshape(bounds[0].shape), high.reshape(bounds[1].shape)

    def _carried_back(self, index: int, rows: Tensor) -> Bounds:
        if self.method == "relaxation":
            return lowest_and_highest(self.relaxation, index, rows)
        arguments = {
            i: self.values[node.source]
            for i in self.lines
            if isinstance(node := self.network.nodes[i], TwoSlope)
        }
        return optimised_bounds(self.relaxation, index, rows, arguments)

    def _chosen(self, index: int, bounds: Bounds) -> Tensor:
        """Return the entries to refine: those that lines depend on."""
        low, high = bounds[0].flatten(1), bounds[1].flatten(1)
        readers = self.read[index]
        only = index != self.network.output and all(
            isinstance(node, TwoSlope) for node in readers
        )
        wide = (low < 0) & (high > 0) if only else low < high
        chosen = wide.any(0).nonzero().flatten()
        if chosen.numel() > self.limit and index != self.network.output:
            self.unrefined += chosen.numel() - self.limit
            widths = (high - low).amax(0)[chosen]
            chosen = chosen[widths.topk(self.limit).indices]
        return chosen

    def _pieces(self, chosen: Tensor) -> Iterator[Tensor]:
        """Return the entries in pieces whose weights stay within the limit."""
        sizes = [math.prod(self.network.nodes[i].shape) for i in self.needed]
        # Both signs, and a few arrays at a time; gradients need all layers' at once.
        size = sum(sizes) * 3 if self.method == "optimised" else max(sizes)
        row = 2 * 8 * 4 * size * self.box[0].shape[0]
        return iter(chosen.split(max(1, _BYTES // row)) if chosen.numel() else ())


def _tight(network: Network, known: Mapping[int, AbsoluteAffine]) -> frozenset[int]:
    """Return the nodes whose interval bounds lines cannot improve.

    The values of such a node are one affine map of the input, taken through one node
    that adds; before it entries are only moved and scaled, so the box stays a box.
    """
    boxes, tight = {0}, set[int]()
    nodes = [network.nodes[index] for index in known]
    read = {t.source for node in nodes if isinstance(node, Affine) for t in node.terms}
    for index, node in zip(known, nodes, strict=True):
        if isinstance(node, Affine) and len(node.terms) == 1:
            (term,) = node.terms
            if term.source in boxes and known[index].exact:
                tight.add(index)
                single = index in read and term.map.rows_single
                if single and term.map.columns_single:
                    boxes.add(index)
    return frozenset(boxes | tight)
