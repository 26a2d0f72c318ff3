"""What may be given as phi: names, functions, nodes, or one of them a block."""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import TypeAlias

import torch

from relulens.errors import InvalidArgumentError
from relulens.graph.coupled import MatrixProduct, Softmax
from relulens.graph.linear_map import Shape
from relulens.graph.nodes import Coupled, Maximum, Nonlinear, Smooth, TwoSlope, sources
from relulens.graph.smooth import (
    ERF,
    GELU,
    SIGMOID,
    SILU,
    SIN,
    SOFTSIGN,
    TANH,
    SmoothFunction,
)
from relulens.implicit.activation import Activation, Argument, StateBlock

TWO_SLOPES = {"relu": (0.0, 1.0), "leaky_relu": (0.01, 1.0), "abs": (-1.0, 1.0)}
"""Negative and positive slopes of the functions that have a name."""

SMOOTH = {
    function.name: function
    for function in (TANH, SIGMOID, SILU, GELU, SOFTSIGN, ERF, SIN)
}
"""Smooth functions that have a name."""

Operation: TypeAlias = str | SmoothFunction | Nonlinear
PhiLike: TypeAlias = Activation | Operation | Sequence[Operation | tuple[str, int]]


def operation_node(given: object, shape: Shape, name: str) -> Nonlinear:
    """Return the node of one block of phi.

    Raises:
        InvalidArgumentError: The operation has no such name, or another shape.
    """
    match given:
        case str() if given in TWO_SLOPES:
            low, high = (
                torch.tensor(s, dtype=torch.float64) for s in TWO_SLOPES[given]
            )
            return TwoSlope(
                name=name, shape=shape, source=0, negative=low, positive=high
            )
        case str() if given in SMOOTH:
            return Smooth(name=name, shape=shape, source=0, function=SMOOTH[given])
        case "softmax":
            return Coupled(name=name, shape=shape, sources=(0,), function=Softmax(-1))
        case SmoothFunction():
            return Smooth(name=name, shape=shape, source=0, function=given)
        case TwoSlope() | Smooth() | Maximum() | Coupled():
            return given
        case _:
            raise _unknown(given)


def _unknown(given: object) -> InvalidArgumentError:
    known = ", ".join([*TWO_SLOPES, *SMOOTH, "softmax"])
    return InvalidArgumentError(
        f"cannot use phi {given!r}: it is none of the names {known}, and no"
        " SmoothFunction or nonlinear node. Pass one of these, or one a block."
    )


def _pair(given: tuple[object, ...]) -> tuple[object, int]:
    """Return a pair of an operation and a number of entries.

    Raises:
        InvalidArgumentError: It is another tuple.
    """
    match given:
        case (operation, Integral() as size) if int(size) >= 0:
            return operation, int(size)
        case _:
            raise InvalidArgumentError(
                f"cannot use {given!r} in phi: it is no pair of a name and a number of"
                " entries. Pass pairs such as ('relu', 3), or a list of names."
            )


def argument_shapes(node: Nonlinear) -> tuple[Shape, ...]:
    """Return the shapes that an operation reads, where its node says them.

    Raises:
        InvalidArgumentError: A matrix product is given without them.
    """
    match node:
        case Maximum(groups=groups):
            return (groups.in_shape,)
        case Coupled(function=MatrixProduct()):
            raise InvalidArgumentError(
                "cannot use a matrix product as phi: its node does not say the shapes"
                " of its 2 arguments. Make an Activation of StateBlocks."
            )
        case _:
            return (node.shape,) * len(sources(node))


def activation_of(nodes: Sequence[Nonlinear], names: Sequence[str]) -> Activation:
    """Return phi from its operations in order, each reading what follows."""
    return activation_with(nodes, [argument_shapes(node) for node in nodes], names)


def activation_with(
    nodes: Sequence[Nonlinear],
    shapes: Sequence[Sequence[Shape]],
    names: Sequence[str],
) -> Activation:
    """Return phi from operations and the shapes of what they read."""
    blocks: list[StateBlock] = []
    start = place = 0
    for node, read, name in zip(nodes, shapes, names, strict=True):
        arguments: list[Argument] = []
        for shape in read:
            stop = place + math.prod(shape)
            arguments.append(Argument(start=place, stop=stop, shape=tuple(shape)))
            place = stop
        stop = start + math.prod(node.shape)
        blocks.append(
            StateBlock(
                name=name,
                node=node,
                start=start,
                stop=stop,
                arguments=tuple(arguments),
            )
        )
        start = stop
    return Activation(blocks=tuple(blocks))


def as_activation(phi: PhiLike, sizes: Sequence[int]) -> Activation:
    """Return phi as blocks.

    Args:
        phi: One operation for all of the state, or one a block; a pair of a name and a
            number stands for that many entries.
        sizes: Entries of the blocks of the state, as A's columns have them.

    Raises:
        InvalidArgumentError: An operation is unknown, or the blocks do not fit.
    """
    if isinstance(phi, Activation):
        return phi
    if isinstance(phi, str | SmoothFunction | TwoSlope | Smooth | Maximum | Coupled):
        given: list[Operation | tuple[str, int]] = [phi] * len(sizes)
    elif isinstance(phi, Sequence):
        given = list(phi)
    else:
        raise _unknown(phi)
    pairs = [_pair(item) for item in given if isinstance(item, tuple)]
    if pairs and len(pairs) == len(given):
        sizes = [size for _, size in pairs]
    elif len(given) != len(sizes) and all(_has_shape(item) for item in given):
        sizes = [0] * len(given)
    if len(given) != len(sizes):
        raise InvalidArgumentError(
            f"cannot use phi: it has {len(given)} blocks, and A has {len(sizes)} blocks"
            " of columns. Give pairs of a name and a size, or A in blocks."
        )
    names = [f"block {i}" for i in range(len(given))]
    nodes = [
        operation_node(item[0] if isinstance(item, tuple) else item, (size,), name)
        for item, size, name in zip(given, sizes, names, strict=True)
    ]
    return activation_of(nodes, names)


def _has_shape(item: object) -> bool:
    return isinstance(item, TwoSlope | Smooth | Maximum | Coupled)
