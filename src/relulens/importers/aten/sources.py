"""What nodes of an exported graph stand for while it is walked over."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import SymInt, Tensor
from torch.fx import Node as GraphNode

from relulens.graph.linear_map import Shape
from relulens.importers.values import Value


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A tensor that does not depend on the input.

    Attributes:
        one: The tensor for a batch of one.
        two: The tensor for a batch of two, if sizes of the batch went into it.
        parameters: Names of the source parameters that it was made from.
    """

    one: Tensor
    two: Tensor | None = None
    parameters: frozenset[str] = frozenset()

    def at(self, batch: int) -> Tensor:
        """Return the tensor for a batch of one or two."""
        return self.one if batch == 1 or self.two is None else self.two

    def steady(self) -> bool:
        """Tell whether a larger batch only repeats it along one axis."""
        if self.two is None:
            return True
        if self.one.shape == self.two.shape:
            return torch.equal(self.one, self.two)
        if self.one.ndim != self.two.ndim:
            return False
        return any(
            _repeats(self.one, self.two, axis)
            for axis in range(self.one.ndim)
            if self.two.shape[axis] == 2 * self.one.shape[axis]
        )


def _repeats(one: Tensor, two: Tensor, axis: int) -> bool:
    length = one.shape[axis]
    if (
        one.shape[:axis] + one.shape[axis + 1 :]
        != two.shape[:axis] + two.shape[axis + 1 :]
    ):
        return False
    for before in range(1, length + 1):
        if length % before:
            continue
        # The batch may stand anywhere among the sizes that were merged with it.
        parts = (*one.shape[:axis], before, 1, length // before, *one.shape[axis + 1 :])
        wide = (*one.shape[:axis], before, 2, length // before, *one.shape[axis + 1 :])
        if torch.equal(one.reshape(parts).expand(wide), two.reshape(wide)):
            return True
    return False


@dataclass(frozen=True, slots=True, eq=False)
class Masked:
    """Scores some of which are minus infinity; only a softmax can read them.

    Attributes:
        value: The scores, finite everywhere.
        mask: Zeros and minus infinities that are added; broadcasts to the scores.
    """

    value: Value
    mask: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Missing:
    """The result of a node that has no rule, or a result that no rule gives.

    Attributes:
        reason: Why it is missing, or nothing if the node is reported already.
    """

    reason: str | None = None


Result: TypeAlias = Value | Masked | Constant | Missing | SymInt | int | float | bool
Source: TypeAlias = Result | tuple["Source", ...]


def substituted(argument: object, replace: Callable[[GraphNode], object]) -> object:
    """Return an argument of a node with what stands for the nodes in it."""
    match argument:
        case GraphNode():
            return replace(argument)
        case list() | tuple():
            return [substituted(item, replace) for item in argument]
        case dict():
            return {k: substituted(item, replace) for k, item in argument.items()}
    return argument


def applied(node: GraphNode, replace: Callable[[GraphNode], object]) -> object:
    """Return a node's operation applied to what stands for its arguments.

    Raises:
        TypeError: The node is no operation.
    """
    if not callable(node.target):
        raise TypeError(f"{node.target} is no function")
    args = [substituted(argument, replace) for argument in node.args]
    kwargs = {key: substituted(item, replace) for key, item in node.kwargs.items()}
    with torch.no_grad():
        return node.target(*args, **kwargs)


def size_at(size: object, batch: int) -> int:
    """Return a size, possibly symbolic in the batch, for one batch size."""
    if isinstance(size, SymInt):
        expression = size.node.expr
        return int(expression.subs(dict.fromkeys(expression.free_symbols, batch)))
    return int(size)  # type: ignore[call-overload]


@dataclass(frozen=True, slots=True)
class Target:
    """The shape that an exported node's result has.

    Attributes:
        lengths: For a batch of one.
        batch: Position of the axis that grows with the batch, if exactly one does.
        follows: Whether that axis is proportional to the batch, and no other is.
    """

    lengths: Shape
    batch: int | None
    follows: bool


def target_of(node: GraphNode) -> Target:
    """Return the shape of a node's (first) result."""
    value = node.meta.get("val")
    if isinstance(value, (tuple, list)):
        value = value[0] if value else None
    sizes = tuple(value.shape) if isinstance(value, Tensor) else ()
    one = tuple(size_at(size, 1) for size in sizes)
    two = tuple(size_at(size, 2) for size in sizes)
    grown = [i for i, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]
    follows = not grown or (len(grown) == 1 and two[grown[0]] == 2 * one[grown[0]])
    return Target(one, grown[0] if grown else None, follows)
