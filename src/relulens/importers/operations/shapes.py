"""Operations that move entries without changing them."""

from collections.abc import Sequence

from relulens.errors import InvalidArgumentError
from relulens.graph.maps import Adjoint, Permute, Reshape, SumOver
from relulens.importers.builder import Builder
from relulens.importers.values import (
    BatchAxis,
    Dim,
    Dims,
    Value,
    broadcast_dims,
    describe_dims,
    reshaped_dims,
    sample_shape,
    source_axis,
)


def reshape(build: Builder, name: str, x: Value, dims: Dims) -> Value:
    """Give a value's entries new axes, the batch axis placed by the caller."""
    return build.linear(name, x, dims, Reshape(x.shape, sample_shape(dims)))


def reshape_to(
    build: Builder,
    name: str,
    x: Value,
    target: Sequence[int],
    batch_axis: int | None = None,
) -> Value:
    """Reshape to lengths that hold for a batch of one; the batch axis is found."""
    return reshape(build, name, x, reshaped_dims(x.dims, target, batch_axis))


def flatten(
    build: Builder, name: str, x: Value, start: int = 1, end: int = -1
) -> Value:
    """Merge the axes from ``start`` to ``end``."""
    rank = max(x.rank, 1)
    first, last = source_axis(start, rank), source_axis(end, rank)
    merged: list[Dim] = list(x.dims[first : last + 1])
    return reshape(
        build, name, x, (*x.dims[:first], _merge(merged), *x.dims[last + 1 :])
    )


def _merge(dims: Sequence[Dim]) -> Dim:
    before, after, held = 1, 1, False
    for dim in dims:
        if isinstance(dim, BatchAxis):
            before, after, held = before * dim.before, dim.after, True
        elif held:
            after *= dim
        else:
            before *= dim
    return BatchAxis(before, after) if held else before


def permute(build: Builder, name: str, x: Value, order: Sequence[int]) -> Value:
    """Put the source's axes into another order."""
    axes = [source_axis(axis, x.rank) for axis in order]
    starts = [len(sample_shape(x.dims[:place])) for place in range(x.rank)]
    widths = [len(dim.parts()) if isinstance(dim, BatchAxis) else 1 for dim in x.dims]
    moved = [starts[axis] + i for axis in axes for i in range(widths[axis])]
    dims = tuple(x.dims[axis] for axis in axes)
    if moved == sorted(moved):
        return reshape(build, name, x, dims)
    return build.linear(name, x, dims, Permute(x.shape, tuple(moved)))


def squeeze(build: Builder, name: str, x: Value, axes: Sequence[int] | None) -> Value:
    """Drop axes of length one, all of them or those named."""
    if axes is None:
        chosen = {i for i, dim in enumerate(x.dims) if dim == 1}
    else:
        chosen = {source_axis(axis, x.rank) for axis in axes}
        # A batch axis that the file fixed to one may be dropped like any other.
        chosen = {i for i in chosen if x.dims[i] in (1, BatchAxis())}
    dims = tuple(dim for i, dim in enumerate(x.dims) if i not in chosen)
    return reshape(build, name, x, dims)


def unsqueeze(build: Builder, name: str, x: Value, axes: Sequence[int]) -> Value:
    """Insert axes of length one at positions of the result."""
    rank = x.rank + len(axes)
    places = {source_axis(axis, rank) for axis in axes}
    rest = iter(x.dims)
    dims = tuple(1 if i in places else next(rest) for i in range(rank))
    return reshape(build, name, x, dims)


def expand(build: Builder, name: str, x: Value, dims: Dims) -> Value:
    """Repeat a value along axes of length one, or new ones in front.

    Raises:
        InvalidArgumentError: The value cannot be repeated to these axes.
    """
    joint = broadcast_dims(x.dims, dims)
    if joint == x.dims:
        return x
    padded: Dims = (1,) * (len(joint) - x.rank) + x.dims
    # Sample axes of the argument where the result has them: ones where it is repeated.
    shape: list[int] = []
    for old, new in zip(padded, joint, strict=True):
        if isinstance(new, BatchAxis):
            shape.extend(new.parts() if old == new else (1 for _ in new.parts()))
        elif isinstance(old, BatchAxis):
            raise InvalidArgumentError(
                f"cannot expand {describe_dims(x.dims)} to {describe_dims(dims)}: the"
                " batch axis would be lost. Keep it."
            )
        else:
            shape.append(old)
    wanted = sample_shape(joint)
    axes = tuple(
        i for i, (a, b) in enumerate(zip(shape, wanted, strict=True)) if a != b
    )
    repeat = Adjoint(SumOver(wanted, axes))
    return build.linear(name, x, joint, Reshape(x.shape, tuple(shape)), repeat)
