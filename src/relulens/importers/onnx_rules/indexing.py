"""Slices, joins, padding and look-ups at constant places."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from relulens.importers.onnx_model.step import Step
from relulens.importers.onnx_model.symbols import Multiple
from relulens.importers.onnx_rules.convolution import paired
from relulens.importers.operations import indexing
from relulens.importers.operations.arithmetic import multiply
from relulens.importers.registry import RefusedError, register
from relulens.importers.values import BatchAxis, Value, source_axis

ONNX = "ai.onnx"


@register(ONNX, "Slice", "Affine", note="negative steps too; the batch as a whole only")
def slice_(step: Step) -> Value:
    """Import a slice; bounds are attributes before version 10."""
    x = step.value()
    if step.version < 10:
        given = step.integers("starts") or [], step.integers("ends") or []
        starts, stops = ([*given[0]], [*given[1]])
        axes, steps = step.integers("axes"), None
    else:
        starts, stops = step.entries(1), step.entries(2)
        axes = step.wholes(3) if step.has(3) else None
        steps = step.wholes(4) if step.has(4) else None
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    result = x
    for i, (axis, start, stop, move) in enumerate(
        zip(axes, starts, stops, steps, strict=True)
    ):
        if _takes_batch(x, axis, start, stop, move):
            continue
        if isinstance(start, Multiple) or isinstance(stop, Multiple):
            raise RefusedError("it cuts an axis at the batch size")
        name = step.name if i == len(axes) - 1 else f"{step.name}.{i}"
        result = indexing.slice_axis(step.build, name, result, axis, start, stop, move)
    return step.build.linear(step.name, x, x.dims) if result is x else result


def _takes_batch(
    x: Value, axis: int, start: int | Multiple, stop: int | Multiple, move: int
) -> bool:
    """Tell whether a slice takes the whole batch axis."""
    dim = x.dims[source_axis(axis, x.rank)]
    return (
        isinstance(dim, BatchAxis)
        and start == 0
        and move == 1
        and stop == Multiple(dim.factor)
    )


@register(ONNX, "Split", "Affine")
def split(step: Step) -> list[Value]:
    """Import a split; sizes are an input since version 13, equal by default."""
    x, axis = step.value(), step.integer("axis", 0)
    sizes = step.listed("split", 1)
    if sizes is None:
        length = x.shape[x.axis(axis)]
        count = step.integer("num_outputs", len(step.outputs))
        part = -(-length // count)
        sizes = [min(part, max(length - i * part, 0)) for i in range(count)]
    return indexing.split(step.build, step.name, x, sizes, axis)


@register(ONNX, "Concat", "Affine")
def concat(step: Step) -> Value:
    """Import a join of values and constants."""
    operands = [step.operand(i) for i in range(len(step.inputs))]
    arrays = [o if isinstance(o, Value) else torch.as_tensor(o) for o in operands]
    return indexing.concat(step.build, step.name, arrays, step.integer("axis", 1))


_MODES: dict[str, Literal["constant", "reflect", "edge", "wrap"]] = {
    "constant": "constant",
    "reflect": "reflect",
    "edge": "edge",
    "wrap": "wrap",
}


@register(ONNX, "Pad", "Affine", note="constant, reflect, edge and wrap; crops too")
def pad(step: Step) -> Value:
    """Import padding; pads are an input since version 11."""
    x = step.value()
    mode = step.text("mode", "constant")
    if mode not in _MODES:
        raise RefusedError(f"its mode {mode!r} is not known")
    if step.version < 11:
        pads, value = step.integers("pads") or [], step.number("value", 0.0)
    else:
        pads = step.wholes(1)
        value = float(step.array(2).reshape(())) if step.has(2) else 0.0
    axes = step.wholes(3) if step.has(3) else list(range(x.rank))
    around = [(0, 0)] * x.rank
    for axis, pair in zip(axes, paired(pads), strict=True):
        around[source_axis(axis, x.rank)] = pair
    return indexing.pad(step.build, step.name, x, around, _MODES[mode], value)


def _index(step: Step) -> Tensor:
    if isinstance(step.entry(1), Value):
        raise RefusedError(
            "it reads at places that depend on the input; a network on token ids starts"
            " at the embedding's output"
        )
    return torch.from_numpy(np.array(step.array(1), dtype=np.int64))


@register(ONNX, "Gather", "Affine", note="constant indices")
def gather(step: Step) -> Value:
    """Import a look-up along one axis."""
    index, axis = _index(step), step.integer("axis", 0)
    return indexing.gather(step.build, step.name, step.value(), index, axis)


@register(ONNX, "GatherElements", "Affine", note="constant indices")
def gather_elements(step: Step) -> Value:
    """Import a look-up entry by entry along one axis."""
    index, axis = _index(step), step.integer("axis", 0)
    return indexing.gather_elements(step.build, step.name, step.value(), index, axis)


@register(ONNX, "Trilu", "Affine", since=14)
def triangle(step: Step) -> Value:
    """Import the upper or lower triangle of matrices."""
    x = step.value()
    shape = (x.shape[x.axis(-2)], x.shape[x.axis(-1)])
    shift = int(step.array(1).reshape(())) if step.has(1) else 0
    ones = torch.ones(shape, dtype=torch.float64)
    kept = ones.triu(shift) if step.integer("upper", 1) else ones.tril(shift)
    return multiply(step.build, step.name, x, kept)
