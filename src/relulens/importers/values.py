"""Values of a source model: a node of the network and the shape the source sees.

A source model moves the batch axis about: a recurrent layer puts it second, attention
merges it with the heads. A node of the network has no batch axis. A ``Value`` ties the
two: its ``dims`` are the source's axes, and one of them may hold the batch, alone or
between the sizes it was merged with.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.linear_map import Shape


@dataclass(frozen=True, slots=True)
class BatchAxis:
    """An axis of length ``before * N * after`` in row-major order, N the batch size.

    Attributes:
        before: Product of the sizes merged in front of the batch.
        after: Product of the sizes merged behind it.
    """

    before: int = 1
    after: int = 1

    @property
    def factor(self) -> int:
        """The axis' length for a batch of one."""
        return self.before * self.after

    def parts(self) -> Shape:
        """Return the sizes of the network's axes that it stands for, ones left out."""
        return tuple(size for size in (self.before, self.after) if size != 1)


Dim: TypeAlias = int | BatchAxis
Dims: TypeAlias = tuple[Dim, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A node and the shape under which the source model sees it.

    Attributes:
        node: Index of the node; its shape is ``sample_shape(dims)``.
        dims: The source's axes; one batch axis at most, none where the source dropped a
            batch axis of length one.
    """

    node: int
    dims: Dims

    @property
    def rank(self) -> int:
        """Number of axes that the source sees."""
        return len(self.dims)

    @property
    def shape(self) -> Shape:
        """Shape of the node."""
        return sample_shape(self.dims)

    @property
    def batch_position(self) -> int | None:
        """Position of the batch axis among the source's axes."""
        return batch_position(self.dims)

    def axis(self, axis: int) -> int:
        """Return the node's axis that a source axis, possibly negative, stands for.

        Raises:
            InvalidArgumentError: It is the batch axis, or out of range.
        """
        place = source_axis(axis, len(self.dims))
        if isinstance(self.dims[place], BatchAxis):
            raise InvalidArgumentError(
                f"cannot work along axis {axis}: it is the batch axis of"
                f" {describe_dims(self.dims)}, and inputs must not mix. Move the batch"
                " axis, or use another axis."
            )
        return len(sample_shape(self.dims[:place]))


def batch_position(dims: Dims) -> int | None:
    """Return the position of the batch axis, if there is one."""
    places = [i for i, dim in enumerate(dims) if isinstance(dim, BatchAxis)]
    return places[0] if places else None


def source_axis(axis: int, rank: int) -> int:
    """Return a possibly negative axis counted from the front.

    Raises:
        InvalidArgumentError: There is no such axis.
    """
    if not -max(rank, 1) <= axis < max(rank, 1):
        raise InvalidArgumentError(
            f"cannot find axis {axis}: the value has {rank} axes. Use one of those."
        )
    return axis % max(rank, 1)


def sample_shape(dims: Dims) -> Shape:
    """Return the shape of one sample: the batch replaced by what was merged with it."""
    shape: list[int] = []
    for dim in dims:
        shape.extend(dim.parts() if isinstance(dim, BatchAxis) else (dim,))
    return tuple(shape)


def with_lengths(dims: Dims, shape: Shape) -> Dims:
    """Return the axes with a node's new lengths; the batch axis keeps its own."""
    sizes = iter(shape)
    result: list[Dim] = []
    for dim in dims:
        if isinstance(dim, BatchAxis):
            for _ in dim.parts():
                next(sizes)
            result.append(dim)
        else:
            result.append(next(sizes))
    return tuple(result)


def lengths(dims: Dims, batch: int = 1) -> Shape:
    """Return the source's shape for one size of the batch."""
    return tuple(
        dim.factor * batch if isinstance(dim, BatchAxis) else dim for dim in dims
    )


def describe_dims(dims: Dims) -> str:
    """Return the axes for a message, such as ``[N, 3, 8]``."""

    def word(dim: Dim) -> str:
        if not isinstance(dim, BatchAxis):
            return str(dim)
        before = f"{dim.before}*" if dim.before != 1 else ""
        return f"{before}N" + (f"*{dim.after}" if dim.after != 1 else "")

    return f"[{', '.join(map(word, dims))}]"


def reshaped_dims(dims: Dims, target: Sequence[int], batch_axis: int | None) -> Dims:
    """Return the axes after a reshape to a target shape for a batch of one.

    Args:
        dims: The axes before.
        target: The new lengths for N = 1.
        batch_axis: Position of the batch in ``target``, or nothing to find it: first a
            place where it can stand alone, then the first where it can be merged.

    Raises:
        InvalidArgumentError: The sizes differ, or the batch would be torn apart.
    """
    if math.prod(lengths(dims)) != math.prod(target):
        raise InvalidArgumentError(
            f"cannot reshape {describe_dims(dims)} to {list(target)}: a sample has"
            f" {math.prod(lengths(dims))} entries, and the target"
            f" {math.prod(target)}. Give a shape of the same size."
        )
    old = batch_position(dims)
    held = None if old is None else dims[old]
    if not isinstance(held, BatchAxis):
        return tuple(target)
    ahead = math.prod(lengths(dims[:old])) * held.before
    places = list(range(len(target))) if batch_axis is None else [batch_axis]
    # An axis that can be the batch alone goes before one that merges it with others.
    places.sort(key=lambda i: (math.prod(target[:i]) != ahead, target[i] != 1))
    for place in places:
        front = math.prod(target[:place])
        if front and ahead % front == 0 and target[place] % (ahead // front) == 0:
            before = ahead // front
            axis = BatchAxis(before, target[place] // before)
            return (*target[:place], axis, *target[place + 1 :])
    raise InvalidArgumentError(
        f"cannot reshape {describe_dims(dims)} to {list(target)}: no axis can hold the"
        " batch without mixing inputs. Keep the batch axis whole."
    )


def sample_constant(constant: Tensor, dims: Dims) -> Tensor:
    """Return a constant of the source shaped to broadcast against a sample.

    Args:
        constant: Any array that broadcasts against ``dims`` in the source.
        dims: The axes it meets.

    Raises:
        InvalidArgumentError: It varies along the batch axis, or does not broadcast.
    """
    full = constant.reshape((1,) * (len(dims) - constant.ndim) + tuple(constant.shape))
    shape: list[int] = []
    for place, dim in enumerate(dims):
        length = full.shape[place]
        if isinstance(dim, BatchAxis):
            if length == 1:
                shape.extend(1 for _ in dim.parts())
            elif length == dim.factor:
                shape.extend(dim.parts())
            else:
                raise InvalidArgumentError(
                    f"cannot combine a constant {list(constant.shape)} with"
                    f" {describe_dims(dims)}: it has {length} entries along the batch"
                    " axis, and 1 is needed. Inputs must not mix."
                )
        else:
            shape.append(length)
    return full.reshape(shape)


def broadcast_dims(first: Dims, second: Dims) -> Dims:
    """Return the axes of two values broadcast against each other.

    Raises:
        InvalidArgumentError: They do not broadcast.
    """
    rank = max(len(first), len(second))
    left: Dims = (1,) * (rank - len(first)) + tuple(first)
    right: Dims = (1,) * (rank - len(second)) + tuple(second)
    joint: list[Dim] = []
    for a, b in zip(left, right, strict=True):
        if a == b or b == 1:
            joint.append(a)
        elif a == 1:
            joint.append(b)
        else:
            raise InvalidArgumentError(
                f"cannot broadcast {describe_dims(first)} with {describe_dims(second)}:"
                f" the lengths {a} and {b} differ. Make them equal or one."
            )
    if sum(isinstance(dim, BatchAxis) for dim in joint) > 1:
        raise InvalidArgumentError(
            f"cannot broadcast {describe_dims(first)} with {describe_dims(second)}:"
            " they would have 2 batch axes, and 1 is possible. Inputs must not mix."
        )
    return tuple(joint)


def as_float(constant: Tensor | float, like: Tensor | None = None) -> Tensor:
    """Return a number or an array of the source as a float64 tensor."""
    device = None if like is None else like.device
    return torch.as_tensor(constant, dtype=torch.float64, device=device)
