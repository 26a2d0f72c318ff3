"""Operations that move or repeat entries as a whole."""

import math
from collections.abc import Sequence

from relulens.importers.onnx_model.step import Step
from relulens.importers.onnx_model.symbols import Multiple
from relulens.importers.operations import shapes
from relulens.importers.operations.indexing import tile
from relulens.importers.registry import RefusedError, register
from relulens.importers.values import (
    BatchAxis,
    Dim,
    Value,
    batch_position,
    lengths,
    source_axis,
)

ONNX = "ai.onnx"


@register(ONNX, "Reshape", "Affine", note="a baked batch of one is lifted")
def reshape(step: Step) -> Value:
    """Import a reshape to a constant shape, zeros and one -1 included."""
    x = step.value()
    entries = step.entries(1) if step.has(1) else step.integers("shape") or []
    if not step.integer("allowzero", 0):
        entries = [_copied(x, i) if e == 0 else e for i, e in enumerate(entries)]
    places = [i for i, entry in enumerate(entries) if isinstance(entry, Multiple)]
    target = [e.factor if isinstance(e, Multiple) else e for e in entries]
    if target.count(-1) > 1 or len(places) > 1:
        raise RefusedError(f"its shape {entries} leaves more than one length open")
    if -1 in target:
        place = target.index(-1)
        others = math.prod(target[:place]) * math.prod(target[place + 1 :])
        if others == 0:
            raise RefusedError(f"its shape {entries} leaves a length open")
        target[place] = math.prod(lengths(x.dims)) // others
        if not places and not step.fixed:
            places = [place]
    return _to(step, x, target, places[0] if places else None)


def _copied(x: Value, place: int) -> int | Multiple:
    if place >= x.rank:
        raise RefusedError(f"its shape copies axis {place}, and there are {x.rank}")
    dim = x.dims[place]
    return Multiple(dim.factor) if isinstance(dim, BatchAxis) else dim


def _to(step: Step, x: Value, target: Sequence[int], place: int | None) -> Value:
    """Reshape to lengths for a batch of one.

    In a file for one input the batch stays an axis only where it can stand alone.
    """
    if not step.fixed or x.batch_position is None:
        if x.batch_position is None:
            place = None
        return shapes.reshape_to(step.build, step.name, x, target, place)
    alone = _alone(x, target) if place is None else place
    if alone is not None and target[alone] == 1:
        return shapes.reshape_to(step.build, step.name, x, target, alone)
    if math.prod(target) != math.prod(lengths(x.dims)):
        raise RefusedError(
            f"its {math.prod(lengths(x.dims))} entries do not fill {list(target)}"
        )
    return shapes.reshape(step.build, step.name, x, tuple(target))


def _alone(x: Value, target: Sequence[int]) -> int | None:
    """Return where a batch of one has as many entries before it as it had."""
    old = batch_position(x.dims)
    ahead = math.prod(lengths(x.dims[:old]))
    fitting = [
        i
        for i, length in enumerate(target)
        if length == 1 and math.prod(target[:i]) == ahead
    ]
    return fitting[0] if fitting else None


@register(ONNX, "Flatten", "Affine")
def flatten(step: Step) -> Value:
    """Import a flattening to two axes."""
    x = step.value()
    axis = step.integer("axis", 1)
    cut = axis + x.rank if axis < 0 else axis
    sizes = lengths(x.dims)
    target = [math.prod(sizes[:cut]), math.prod(sizes[cut:])]
    old = x.batch_position
    place = None if old is None or step.fixed else int(old >= cut)
    return _to(step, x, target, place)


@register(ONNX, "Transpose", "Affine")
def transpose(step: Step) -> Value:
    """Import a permutation of axes, reversed by default."""
    x = step.value()
    order = step.integers("perm") or list(range(x.rank))[::-1]
    return shapes.permute(step.build, step.name, x, order)


@register(ONNX, "Squeeze", "Affine")
def squeeze(step: Step) -> Value:
    """Import the loss of axes of length one; axes are an input since version 13."""
    x = step.value()
    axes = step.listed("axes", 1)
    if axes is None and step.fixed:
        axes = [i for i, length in enumerate(lengths(x.dims)) if length == 1]
    return shapes.squeeze(step.build, step.name, x, axes)


@register(ONNX, "Unsqueeze", "Affine")
def unsqueeze(step: Step) -> Value:
    """Import new axes of length one; axes are an input since version 13."""
    axes = step.listed("axes", 1) or []
    return shapes.unsqueeze(step.build, step.name, step.value(), axes)


@register(ONNX, "Expand", "Affine")
def expand(step: Step) -> Value:
    """Import repetition along axes of length one."""
    x, entries = step.value(), step.entries(1)
    padded: list[Dim] = [1] * (len(entries) - x.rank) + list(x.dims)
    ones: list[int | Multiple] = [1] * (x.rank - len(entries))
    pairs = zip(padded, [*ones, *entries], strict=True)
    dims = tuple(_expanded(dim, entry) for dim, entry in pairs)
    return shapes.expand(step.build, step.name, x, dims)


def _expanded(dim: Dim, entry: int | Multiple) -> Dim:
    if isinstance(dim, BatchAxis):
        if entry in (1, dim.factor, Multiple(dim.factor)):
            return dim
        raise RefusedError(f"it repeats the batch axis to {entry}")
    if isinstance(entry, Multiple):
        if dim != 1:
            raise RefusedError(f"it repeats an axis of length {dim} to {entry}")
        return BatchAxis(1, entry.factor)
    return dim if entry == 1 else entry


@register(ONNX, "Tile", "Affine")
def tiled(step: Step) -> Value:
    """Import repetition of the whole value."""
    return tile(step.build, step.name, step.value(), step.wholes(1))


def _blocks(step: Step) -> tuple[Value, int]:
    x, size = step.value(), step.integer("blocksize", 1)
    if x.rank != 4:
        raise RefusedError(f"its argument has {x.rank} axes, and 4 are needed")
    for axis in (1, 2, 3):
        x.axis(axis)  # Refuses the batch axis.
    return x, size


@register(ONNX, "DepthToSpace", "Affine")
def depth_to_space(step: Step) -> Value:
    """Import channels moved into blocks of pixels."""
    x, size = _blocks(step)
    channels, height, width = x.shape[-3:]
    if channels % (size * size):
        raise RefusedError(f"{channels} channels make no blocks of {size} by {size}")
    rest = channels // (size * size)
    by_column = step.text("mode", "DCR") == "CRD"
    split = (rest, size, size) if by_column else (size, size, rest)
    order = [0, 1, 4, 2, 5, 3] if by_column else [0, 3, 4, 1, 5, 2]
    name, build = step.name, step.build
    parts = shapes.reshape(
        build, f"{name}.blocks", x, (x.dims[0], *split, height, width)
    )
    turned = shapes.permute(build, f"{name}.turned", parts, order)
    dims = (x.dims[0], rest, height * size, width * size)
    return shapes.reshape(build, name, turned, dims)


@register(ONNX, "SpaceToDepth", "Affine")
def space_to_depth(step: Step) -> Value:
    """Import blocks of pixels moved into channels."""
    x, size = _blocks(step)
    channels, height, width = x.shape[-3:]
    if height % size or width % size:
        raise RefusedError(f"{height} by {width} pixels make no blocks of {size}")
    high, wide = height // size, width // size
    split = (x.dims[0], channels, high, size, wide, size)
    by_channel = step.text("mode", "DCR") == "CRD"
    order = [0, 1, 3, 5, 2, 4] if by_channel else [0, 3, 5, 1, 2, 4]
    name, build = step.name, step.build
    parts = shapes.reshape(build, f"{name}.blocks", x, split)
    turned = shapes.permute(build, f"{name}.turned", parts, order)
    dims = (x.dims[0], channels * size * size, high, wide)
    return shapes.reshape(build, name, turned, dims)


def axis_of(step: Step, x: Value, default: int) -> int:
    """Return the node's axis attribute, counted from the front."""
    return source_axis(step.integer("axis", default), x.rank)
