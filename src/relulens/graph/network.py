"""The network: nodes in order, named layers, and what it was imported from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from relulens.errors import (
    InvalidArgumentError,
    NotFiniteError,
    ShapeError,
    UnknownNameError,
)
from relulens.graph.arrays import tensor_of
from relulens.graph.domain import Box
from relulens.graph.linear_map import Shape
from relulens.graph.nodes import (
    Coupled,
    Maximum,
    Node,
    Smooth,
    TwoSlope,
    sources,
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Layer:
    """One nonlinear operation of the source model.

    Attributes:
        name: Name in the source model.
        operation: What the source calls it, such as ``"relu"`` or ``"clamp"``.
        nodes: Indices of its nonlinear nodes, in order; a clamp has two.
        output: Index of the node whose value its features are.
    """

    name: str
    operation: str
    nodes: tuple[int, ...]
    output: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How closely the network follows its source on sample inputs.

    Attributes:
        source: What it was compared with, such as ``"onnxruntime"``.
        difference: Largest difference of an output over the largest absolute output.
        samples: Number of inputs compared.
    """

    source: str
    difference: float
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a network comes from.

    Attributes:
        format: ``"onnx"``, ``"torch"``, ``"layers"`` or ``"scikit-learn"``.
        path: File it was read from, if any.
        sha256: Hash of the file, or of the weights, in hexadecimal.
        agreement: The check against the source, if it was made.
        notes: What a reader of results must know, such as a softmax that was cut.
        unsafe: Whether the file could run code when it was opened.
    """

    format: str
    path: str | None = None
    sha256: str | None = None
    agreement: Agreement | None = None
    notes: tuple[str, ...] = ()
    unsafe: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Network:
    """A network as a list of nodes, each reading earlier ones.

    Attributes:
        nodes: All nodes; the first is the input.
        output: Index of the node that is the network's output.
        layers: The nonlinear operations, in order.
        cuts: Index of the node that each source name stands for.
        domain: The inputs that the network is meant for, if known.
        dtype: Type of every number.
        device: Where every number lives.
        provenance: Where the network comes from.
        source: What ``refresh`` needs to read the weights again, if anything.
    """

    nodes: tuple[Node, ...]
    output: int
    layers: tuple[Layer, ...]
    cuts: Mapping[str, int] = field(default_factory=dict)
    domain: Box | None = None
    dtype: torch.dtype = torch.float64
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    provenance: Provenance = field(default_factory=lambda: Provenance(format="layers"))
    source: object | None = None

    @property
    def input_shape(self) -> Shape:
        """Shape of one input, without the batch axis."""
        return self.nodes[0].shape

    @property
    def output_shape(self) -> Shape:
        """Shape of one output, without the batch axis."""
        return self.nodes[self.output].shape

    @property
    def input_size(self) -> int:
        """Entries of one input."""
        return math.prod(self.input_shape)

    @property
    def output_size(self) -> int:
        """Entries of one output."""
        return math.prod(self.output_shape)

    @property
    def state_size(self) -> int:
        """Entries of the state: of all nonlinear nodes that the output needs."""
        needed = self.ancestors(self.output)
        return sum(math.prod(node.shape) for i, node in self.nonlinear() if i in needed)

    def nonlinear(self) -> list[tuple[int, TwoSlope | Maximum | Smooth | Coupled]]:
        """Return the nonlinear nodes with their indices."""
        kinds = (TwoSlope, Maximum, Smooth, Coupled)
        return [
            (i, node) for i, node in enumerate(self.nodes) if isinstance(node, kinds)
        ]

    def ancestors(self, index: int) -> frozenset[int]:
        """Return the nodes that a node depends on, itself included."""
        found, open_ = {index}, [index]
        while open_:
            for source in sources(self.nodes[open_.pop()]):
                if source not in found:
                    found.add(source)
                    open_.append(source)
        return frozenset(found)

    def names(self) -> list[str]:
        """Return every name of a layer or cut point, for arguments called ``layer``."""
        return [*self.cuts, *(["output"] if "output" not in self.cuts else [])]

    def layer_index(self, layer: int | str) -> int:
        """Return the index in ``layers`` that a number or a layer's name stands for.

        Raises:
            UnknownNameError: No layer has this name or number.
        """
        names = [item.name for item in self.layers]
        if isinstance(layer, str):
            if layer in names:
                return names.index(layer)
            node = self.cuts.get(layer)
            for i, item in enumerate(self.layers):
                if node in (item.output, *item.nodes):
                    return i
            raise UnknownNameError(layer, names or ["output"])
        _check_number(layer)
        if not -len(names) <= layer < len(names):
            raise UnknownNameError(str(layer), names or ["output"])
        return int(layer) % len(names)

    def find(self, layer: int | str | None, at: str = "features") -> int:
        """Return the index of the node that a layer's name or number stands for.

        Args:
            layer: Index into ``layers``, any name, or nothing for the output.
            at: ``"features"``, or ``"preactivation"`` for the argument of a layer.

        Raises:
            UnknownNameError: No layer or cut point has this name or number.
        """
        if at == "preactivation" and layer is not None and layer != "output":
            first = self.nodes[self.layers[self.layer_index(layer)].nodes[0]]
            return sources(first)[0]
        if layer is None or layer == "output":
            return self.output
        if not isinstance(layer, str):
            return self.layers[self.layer_index(layer)].output
        if layer in self.cuts:
            return self.cuts[layer]
        raise UnknownNameError(layer, self.names())

    def as_input(self, x: object, *, subject: str = "x") -> Tensor:
        """Return inputs as a tensor of the network's type, with the shape checked.

        Args:
            x: Inputs [N, *input_shape], any array.
            subject: What the message calls them.

        Raises:
            InvalidArgumentError: It holds no real numbers.
            ShapeError: The shape is another one, or the batch axis is missing.
            NotFiniteError: A number is NaN or infinite.
        """
        value = tensor_of(x, subject=subject).to(self.device, self.dtype)
        if tuple(value.shape[1:]) != self.input_shape or value.ndim == 0:
            missing = tuple(value.shape) == self.input_shape
            advice = (
                f"The batch axis is missing: pass {subject}[None]."
                if missing
                else "Reshape the data to the network's input, batch axis first."
            )
            raise ShapeError(subject, tuple(value.shape), self.input_shape, advice)
        if not bool(torch.isfinite(value).all()):
            bad = int((~torch.isfinite(value)).sum())
            raise NotFiniteError(
                f"cannot use {subject}: {bad} of its {value.numel()} numbers are NaN or"
                " infinite. Remove or replace those inputs."
            )
        return value

    def with_output(self, output: int) -> "Network":
        """Return the network that ends at another node, with the layers it needs."""
        needed = self.ancestors(output)
        layers = tuple(item for item in self.layers if set(item.nodes) <= needed)
        return replace(self, output=output, layers=layers)

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        return (
            f"Network({list(self.input_shape)} -> {list(self.output_shape)},"
            f" {len(self.layers)} layers, state_size={self.state_size},"
            f" {self.dtype}, {self.device})"
        )


def _check_number(layer: object) -> None:
    """Refuse what is neither a name nor a number of a layer.

    Raises:
        InvalidArgumentError: It is no whole number.
    """
    if isinstance(layer, bool) or not isinstance(layer, int | np.integer):
        raise InvalidArgumentError(
            f"cannot find layer {layer!r}: it is a {type(layer).__name__}, and a name"
            " or a whole number is needed. network.names() lists all names."
        )


def last_uses(nodes: Sequence[Node], wanted: frozenset[int]) -> dict[int, list[int]]:
    """Return for each wanted node which values no later wanted node reads."""
    last: dict[int, int] = {}
    for index in sorted(wanted):
        for source in sources(nodes[index]):
            last[source] = index
    free: dict[int, list[int]] = {}
    for source, index in last.items():
        free.setdefault(index, []).append(source)
    return free
