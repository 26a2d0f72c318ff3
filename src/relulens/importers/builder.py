"""Collect the nodes of a network while an importer walks over a source model."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from relulens.errors import NotFiniteError
from relulens.graph.coupled import CoupledFunction
from relulens.graph.domain import Box
from relulens.graph.groups import Groups
from relulens.graph.linear_map import LinearMap, Shape
from relulens.graph.maps import Identity, Scale, composed
from relulens.graph.network import Layer, Network, Provenance
from relulens.graph.nodes import (
    Affine,
    Coupled,
    Input,
    Maximum,
    Node,
    Smooth,
    Term,
    TwoSlope,
)
from relulens.graph.smooth import SmoothFunction
from relulens.importers.assembly import assembled
from relulens.importers.values import BatchAxis, Dims, Value, sample_shape


@dataclass(slots=True, eq=False)
class Builder:
    """A network under construction; coefficients are float64 until ``network``.

    Every method adds one node and returns the value that stands for it. Names are made
    unique. While ``parameters`` is set, affine nodes record it.

    Attributes:
        nodes: The nodes so far.
        layers: The nonlinear operations so far.
        cuts: Node of every source name so far.
        parameters: Source parameters that the operation at work reads.
    """

    nodes: list[Node] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    cuts: dict[str, int] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    _taken: dict[str, int] = field(default_factory=dict)
    _layer_names: dict[str, int] = field(default_factory=dict)

    def _name(self, name: str) -> str:
        return _unique(name, self._taken)

    def _add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def mark(self) -> "BuilderMark":
        """Return what ``rewind`` needs to forget all that is added from now on."""
        names = dict(self.cuts), dict(self._taken), dict(self._layer_names)
        return BuilderMark(len(self.nodes), len(self.layers), *names)

    def rewind(self, mark: "BuilderMark") -> None:
        """Forget everything that was added since a mark."""
        del self.nodes[mark.nodes :]
        del self.layers[mark.layers :]
        self.cuts, self._taken = dict(mark.cuts), dict(mark.taken)
        self._layer_names = dict(mark.layer_names)

    def cut(self, name: str, value: Value) -> None:
        """Let a source name stand for a value; the first use of a name wins."""
        self.cuts.setdefault(name, value.node)

    def input(self, name: str, dims: Dims) -> Value:
        """Add the input."""
        node = Input(name=self._name(name), shape=sample_shape(dims))
        return Value(self._add(node), dims)

    def affine(
        self,
        name: str,
        terms: Sequence[tuple[Value, LinearMap]],
        bias: Tensor | None,
        dims: Dims,
    ) -> Value:
        """Add a sum of linear maps of earlier values plus a bias.

        A single term onto a pure affine node that nothing else names is not merged:
        source operations stay visible.

        Args:
            name: Name in the source model.
            terms: What is read and the map applied to its node's array.
            bias: Constant part, broadcast to the sample's shape, or nothing.
            dims: The source's axes of the result.

        Raises:
            NotFiniteError: The bias holds NaN or infinite numbers.
        """
        if bias is not None:
            self._check_finite(name, bias)
        node = Affine(
            name=self._name(name),
            shape=sample_shape(dims),
            terms=tuple(Term(value.node, map_) for value, map_ in terms),
            bias=bias,
            parameters=self.parameters,
        )
        return Value(self._add(node), dims)

    def linear(
        self,
        name: str,
        x: Value,
        dims: Dims,
        *maps: LinearMap,
        bias: Tensor | None = None,
    ) -> Value:
        """Add the maps of one value, applied one after another, plus a bias."""
        map_ = composed(*maps) if maps else Identity(x.shape)
        return self.affine(name, [(x, map_)], bias, dims)

    def constant(self, name: str, value: Tensor, dims: Dims) -> Value:
        """Add a constant, for the operations that need a node."""
        return self.affine(name, [], value.expand(sample_shape(dims)), dims)

    def two_slope(
        self,
        name: str,
        x: Value,
        negative: Tensor | float,
        positive: Tensor | float = 1.0,
        *,
        operation: str,
    ) -> Value:
        """Add a two-slope layer; slopes broadcast to the sample's shape."""
        value = self._two_slope(name, x, negative, positive)
        return self.layer(name, operation, (value,), value)

    def _two_slope(
        self, name: str, x: Value, negative: Tensor | float, positive: Tensor | float
    ) -> Value:
        node = TwoSlope(
            name=self._name(name),
            shape=x.shape,
            source=x.node,
            negative=torch.as_tensor(negative, dtype=torch.float64),
            positive=torch.as_tensor(positive, dtype=torch.float64),
        )
        return Value(self._add(node), x.dims)

    def clamp(
        self,
        name: str,
        x: Value,
        low: Tensor | float,
        high: Tensor | float,
        *,
        operation: str,
    ) -> Value:
        """Add ``min(max(x, low), high)``, ``low < high``, as an exact pair of ReLUs."""
        low = torch.as_tensor(low, dtype=torch.float64)
        high = torch.as_tensor(high, dtype=torch.float64)
        same = Identity(x.shape)
        above = self.affine(f"{name}.above_low", [(x, same)], -low, x.dims)
        first = self._two_slope(f"{name}.low", above, 0.0, 1.0)
        negated = self._scaled(first, -1.0)
        below = self.affine(
            f"{name}.below_high", [(first, negated)], high - low, x.dims
        )
        second = self._two_slope(f"{name}.high", below, 0.0, 1.0)
        result = self.affine(name, [(second, negated)], high, x.dims)
        return self.layer(name, operation, (first, second), result)

    def bounded(
        self,
        name: str,
        x: Value,
        bound: Tensor | float,
        *,
        below: bool,
        operation: str,
    ) -> Value:
        """Add ``max(x, bound)``, or ``min(x, bound)`` if not ``below``, as one ReLU."""
        bound = torch.as_tensor(bound, dtype=torch.float64)
        sign = self._scaled(x, 1.0 if below else -1.0)
        shift = -bound if below else bound
        moved = self.affine(f"{name}.from_bound", [(x, sign)], shift, x.dims)
        rest = self._two_slope(f"{name}.relu", moved, 0.0, 1.0)
        result = self.affine(name, [(rest, sign)], bound, x.dims)
        return self.layer(name, operation, (rest,), result)

    @staticmethod
    def _scaled(x: Value, factor: float) -> LinearMap:
        return Scale(torch.tensor(factor, dtype=torch.float64), x.shape)

    def maximum(
        self, name: str, x: Value, groups: Groups, dims: Dims, *, operation: str
    ) -> Value:
        """Add a maximum over groups of one value's entries."""
        node = Maximum(
            name=self._name(name),
            shape=sample_shape(dims),
            source=x.node,
            groups=groups,
        )
        value = Value(self._add(node), dims)
        return self.layer(name, operation, (value,), value)

    def minimum(
        self, name: str, x: Value, groups: Groups, dims: Dims, *, operation: str
    ) -> Value:
        """Add a minimum over groups: the negated maximum of the negatives."""
        negated = self.linear(f"{name}.negated", x, x.dims, self._scaled(x, -1.0))
        node = Maximum(
            name=self._name(f"{name}.maximum"),
            shape=sample_shape(dims),
            source=negated.node,
            groups=groups,
        )
        best = Value(self._add(node), dims)
        result = self.linear(name, best, dims, self._scaled(best, -1.0))
        return self.layer(name, operation, (best,), result)

    def smooth(self, name: str, x: Value, function: SmoothFunction) -> Value:
        """Add an elementwise function."""
        node = Smooth(
            name=self._name(name), shape=x.shape, source=x.node, function=function
        )
        value = Value(self._add(node), x.dims)
        return self.layer(name, function.name, (value,), value)

    def coupled(
        self, name: str, values: Sequence[Value], function: CoupledFunction, dims: Dims
    ) -> Value:
        """Add a coupled map of one or two values."""
        node = Coupled(
            name=self._name(name),
            shape=sample_shape(dims),
            sources=tuple(value.node for value in values),
            function=function,
        )
        value = Value(self._add(node), dims)
        return self.layer(name, function.name, (value,), value)

    def layer(
        self, name: str, operation: str, nodes: Sequence[Value], output: Value
    ) -> Value:
        """Declare that some nodes are one nonlinear operation of the source."""
        unique = _unique(name, self._layer_names)
        indices = tuple(value.node for value in nodes)
        self.layers.append(
            Layer(name=unique, operation=operation, nodes=indices, output=output.node)
        )
        self.cut(unique, output)
        return output

    def network(
        self,
        output: Value,
        *,
        provenance: Provenance,
        domain: Box | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        source: object | None = None,
    ) -> Network:
        """Return the network that ends at a value, unneeded nodes left out.

        Raises:
            NotFiniteError: A coefficient is NaN or infinite.
        """
        draft = replace(self.partial(), output=output.node, provenance=provenance)
        network = assembled(draft, dtype, torch.device(device))
        return replace(network, domain=domain, source=source)

    def partial(self) -> Network:
        """Return all nodes so far, ending at the last, to describe a failed import."""
        return Network(
            nodes=tuple(self.nodes),
            output=len(self.nodes) - 1,
            layers=tuple(self.layers),
            cuts=dict(self.cuts),
        )

    @staticmethod
    def _check_finite(name: str, numbers: Tensor) -> None:
        if not bool(torch.isfinite(numbers).all()):
            bad = int((~torch.isfinite(numbers)).sum())
            raise NotFiniteError(
                f"cannot import {name!r}: {bad} of its {numbers.numel()} coefficients"
                " are NaN or infinite. Train or export the model again."
            )


@dataclass(frozen=True, slots=True, eq=False)
class BuilderMark:
    """A moment of a builder's life.

    Attributes:
        nodes: Number of nodes then.
        layers: Number of layers then.
        cuts: Names of values then.
        taken: Names of nodes then.
        layer_names: Names of layers then.
    """

    nodes: int
    layers: int
    cuts: dict[str, int]
    taken: dict[str, int]
    layer_names: dict[str, int]


def _unique(name: str, taken: dict[str, int]) -> str:
    """Return the name, with a number behind it if it is taken, and take it."""
    unique, count = name, taken.get(name, 0)
    while unique in taken:
        count += 1
        unique = f"{name}.{count}"
    taken[name] = count
    taken[unique] = 0
    return unique


def with_batch(shape: Shape) -> Dims:
    """Return the axes of a value whose first axis is the batch."""
    return (BatchAxis(), *shape)
