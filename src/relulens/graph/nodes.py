"""The closed set of node kinds that every network consists of after import."""

from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from relulens.graph.coupled import CoupledFunction
from relulens.graph.groups import Groups
from relulens.graph.linear_map import LinearMap, Shape
from relulens.graph.smooth import SmoothFunction


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Input:
    """The network's input.

    Attributes:
        name: Name in the source model.
        shape: Shape of one input, without the batch axis.
    """

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One summand of an affine node.

    Attributes:
        source: Index of the node that is read.
        map: What is applied to it.
    """

    source: int
    map: LinearMap


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Affine:
    """``sum of map(source) over the terms, plus bias``.

    Attributes:
        name: Name in the source model.
        shape: Shape of the value.
        terms: The linear parts; none makes a constant.
        bias: The constant part, broadcast to ``shape``, or nothing.
        parameters: Names of the source parameters it came from.
    """

    name: str
    shape: Shape
    terms: tuple[Term, ...]
    bias: Tensor | None = None
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TwoSlope:
    """``positive * max(z, 0) + negative * min(z, 0)``, elementwise.

    ReLU has ``negative=0``, leaky ReLU and PReLU a small one, abs ``negative=-1``.

    Attributes:
        name: Name in the source model.
        shape: Shape of the argument and the value.
        source: Index of the argument's node.
        negative: Slope below zero, and at zero; broadcast to ``shape``.
        positive: Slope above zero, broadcast to ``shape``.
    """

    name: str
    shape: Shape
    source: int
    negative: Tensor
    positive: Tensor


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Maximum:
    """The maximum over groups of entries; the first largest entry of each group wins.

    Attributes:
        name: Name in the source model.
        shape: Shape of the value, one entry a group.
        source: Index of the argument's node.
        groups: Which entries each group holds.
    """

    name: str
    shape: Shape
    source: int
    groups: Groups


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Smooth:
    """An elementwise function that is not two-slope.

    Attributes:
        name: Name in the source model.
        shape: Shape of the argument and the value.
        source: Index of the argument's node.
        function: The function and its slope range.
    """

    name: str
    shape: Shape
    source: int
    function: SmoothFunction


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Coupled:
    """A vector map of one or two nodes with a Jacobian and no componentwise slope.

    Attributes:
        name: Name in the source model.
        shape: Shape of the value.
        sources: Indices of the arguments' nodes.
        function: The map.
    """

    name: str
    shape: Shape
    sources: tuple[int, ...]
    function: CoupledFunction


Node: TypeAlias = Input | Affine | TwoSlope | Maximum | Smooth | Coupled
Nonlinear: TypeAlias = TwoSlope | Maximum | Smooth | Coupled


def sources(node: Node) -> tuple[int, ...]:
    """Return the indices of the nodes that a node reads, repeats included."""
    match node:
        case Input():
            return ()
        case Affine(terms=terms):
            return tuple(term.source for term in terms)
        case TwoSlope(source=source) | Maximum(source=source) | Smooth(source=source):
            return (source,)
        case Coupled(sources=several):
            return several
