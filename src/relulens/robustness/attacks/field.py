"""Evaluate many changes of one input, incrementally where the first step is affine.

Where the whole network reads its input through one affine map ``z = B u + a``, a
change of an entry adds a column of B to z, so candidates are sums of columns, and only
the rest of the network (the tail) is evaluated. Otherwise the tail is the network.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from relulens.graph.blocks import blocks
from relulens.graph.cost import node_cost
from relulens.graph.freeze import freeze, node_values
from relulens.graph.network import Network
from relulens.graph.nodes import Input
from relulens.graph.tangent import adjoint
from relulens.robustness.attacks.attack import margins
from relulens.robustness.attacks.question import AttackQuestion

COLUMN_BYTES = 64 << 20
"""Most bytes of the columns of the first affine map."""
WORK = 150_000_000
"""Multiply-adds of one batch of candidates."""
FEWEST = 64
"""Candidates of a batch, however costly the network is."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Tail:
    """The network behind its first affine map, float32.

    Attributes:
        network: The network, with an input in the place of node ``start``.
        start: Index of the node where the tail begins.
        columns: The first map's transpose [inputs, size], or nothing if the tail is the
            whole network.
        batch: How many candidates are evaluated at once.
    """

    network: Network
    start: int
    columns: Tensor | None
    batch: int

    def outputs(self, points: Float[Tensor, "rows size"]) -> Tensor:
        """Return the logits at points where the tail begins."""
        shape = self.network.nodes[self.start].shape
        end = self.network.output
        return node_values(self.network, points.reshape(-1, *shape), [end])[end]

    def slopes(
        self, points: Float[Tensor, "rows size"], weights: Float[Tensor, "rows classes"]
    ) -> Float[Tensor, "rows size"]:
        """Return slopes of weighted logits by the affine map around each point."""
        shape = self.network.nodes[self.start].shape
        frozen = freeze(self.network, points.reshape(-1, *shape), self.network.output)
        return adjoint(frozen, weights, start=self.start).flatten(1)


def tail(network: Network) -> Tail:
    """Return the tail of a float32 network."""
    form = blocks(network)
    start, columns = 0, None
    places = {form.arguments[i].source for i in form.B}
    alone = form.D is None and not any(i in form.B for i, _ in form.A)
    if alone and len(places) == 1:
        place = next(iter(places))
        size = math.prod(network.nodes[place].shape)
        if place != 0 and 4 * size * network.input_size <= COLUMN_BYTES:
            start = place
            matrix = next(iter(form.B.values())).to_dense()
            columns = matrix.T.to(network.device, torch.float32).contiguous()
    nodes = list(network.nodes)
    nodes[start] = Input(name=nodes[start].name, shape=nodes[start].shape)
    rest = replace(network, nodes=tuple(nodes))
    needed = rest.ancestors(rest.output)
    cost = sum(node_cost(rest, rest.nodes[i]) for i in needed)
    batch = max(FEWEST, WORK // max(cost, 1))
    return Tail(network=rest, start=start, columns=columns, batch=batch)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Field:
    """One input, the single changes that are possible, and what they must reach.

    A change takes one pixel to a corner of its part of the domain; sets of changes are
    rows of numbers of changes.

    Attributes:
        tail: The network behind its first affine map.
        point: Where the tail begins for the input.
        pixel: Pixel of each change.
        entries: Flat entries of each change.
        delta: What is added to them.
        shifts: What each change adds to ``point``, or nothing if the tail is the whole
            network.
        label: Class to leave.
        target: Class to reach, or nothing.
        rivals: Classes that an attack may lead to.
        slack: Margins above minus this are not trusted in float32.
    """

    tail: Tail
    point: Float[Tensor, " size"]
    pixel: Int[Tensor, " changes"]
    entries: Int[Tensor, "changes channels"]
    delta: Float[Tensor, "changes channels"]
    shifts: Float[Tensor, "changes size"] | None
    label: int
    target: int | None
    rivals: Int[Tensor, " rivals"]
    slack: float

    @property
    def count(self) -> int:
        """Number of single changes."""
        return self.pixel.shape[0]

    def rows(self, changes: Int[Tensor, " rows"]) -> Float[Tensor, "rows size"]:
        """Return what changes add to the point where the tail begins."""
        if self.shifts is not None:
            return self.shifts[changes]
        zero = self.point.new_zeros((len(changes), self.point.shape[0]))
        return zero.scatter_add_(1, self.entries[changes], self.delta[changes])

    def at(self, chosen: Int[Tensor, "sets size"]) -> Float[Tensor, "sets points"]:
        """Return where the tail begins after sets of changes, all of one size."""
        sets, size = chosen.shape
        moved = self.rows(chosen.reshape(-1)).reshape(sets, size, -1)
        return self.point + moved.sum(1)

    def gains(
        self, points: Float[Tensor, "rows size"], outputs: Tensor, rivals: Tensor
    ) -> Float[Tensor, "rows changes"]:
        """Return what each change gains towards a rival, by the map around a point."""
        slopes = self.tail.slopes(points, self._directions(outputs, rivals))
        if self.shifts is not None:
            return -slopes @ self.shifts.T
        return -(slopes[:, self.entries] * self.delta).sum(2)

    def margin(self, outputs: Float[Tensor, "rows classes"]) -> Tensor:
        """Return the margins plus the slack: an attack where they are negative."""
        rows = len(outputs)
        label = torch.full((rows,), self.label, device=outputs.device)
        goal = self.target
        target = None if goal is None else torch.full_like(label, goal)
        return margins(outputs, label, target) + self.slack

    def gap(self, outputs: Tensor, rivals: Int[Tensor, " rows"]) -> Tensor:
        """Return how far the logits are from each row's rival."""
        if self.target is not None:
            return self.margin(outputs)
        return outputs[:, self.label] - outputs.gather(1, rivals[:, None])[:, 0]

    def _directions(self, outputs: Tensor, rivals: Tensor) -> Tensor:
        away = torch.full_like(rivals, self.label)
        if self.target is not None:
            away = outputs.scatter(1, rivals[:, None], -torch.inf).argmax(1)
        weights = torch.zeros_like(outputs)
        weights.scatter_(1, away[:, None], 1.0)
        return weights.scatter_(1, rivals[:, None], -1.0)


RIVALS = 16
"""Most classes that an attack without a target is led to."""
ROUNDING = 1e-5
"""Part of the largest logit that float32 may be off by."""


def field(question: AttackQuestion, behind: Tail, index: int) -> Field:
    """Return the single changes of one input."""
    x, low, high = (value[index] for value in (question.x, question.low, question.high))
    pixels = question.pixels
    channels = pixels.shape[1]
    codes = torch.arange(1 << channels, device=x.device)
    corner = (codes[:, None] >> torch.arange(channels, device=x.device)) & 1
    ends = torch.where(corner[None].bool(), high[pixels][:, None], low[pixels][:, None])
    delta = ends - x[pixels][:, None]
    kept = (delta != 0).any(2)
    place = kept.nonzero()[:, 0]
    delta = delta[kept].to(torch.float32)
    entries = pixels[place]
    single = x.to(torch.float32)
    shifts = None
    if behind.columns is not None:
        parts = delta[:, :, None] * behind.columns[entries]
        shifts = parts[:, 0] if channels == 1 else parts.sum(1)
    base = _start(question, behind, index) if shifts is not None else single
    outputs = behind.outputs(base[None])
    label, target = int(question.labels[index]), question.target(index)
    ranked = outputs[0].argsort(descending=True)
    rivals = ranked[ranked != label][:RIVALS]
    if target is not None:
        rivals = torch.tensor([target], device=x.device)
    return Field(
        tail=behind,
        point=base,
        pixel=place,
        entries=entries,
        delta=delta,
        shifts=shifts,
        label=label,
        target=target,
        rivals=rivals,
        slack=ROUNDING * float(outputs.abs().max()),
    )


def _start(question: AttackQuestion, behind: Tail, index: int) -> Tensor:
    """Return the first affine map's value, rounded once from float64."""
    shaped = question.x[index : index + 1].reshape(1, *question.network.input_shape)
    value = node_values(question.network, shaped, [behind.start])[behind.start]
    return value.reshape(-1).to(torch.float32)
