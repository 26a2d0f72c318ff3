"""Maximum and average pooling."""

import torch

from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import AlongAxis
from relulens.graph.maps.windows import Windows
from relulens.importers.onnx_model.step import Step
from relulens.importers.onnx_rules.convolution import window_padding
from relulens.importers.operations import pooling, reductions
from relulens.importers.registry import RefusedError, register
from relulens.importers.values import Value

ONNX = "ai.onnx"


def _windows(step: Step, x: Value) -> Windows:
    size = step.integers("kernel_shape")
    if size is None or x.rank != len(size) + 2:
        raise RefusedError(f"its window {size} does not fit {x.rank} axes")
    rank = len(size)
    stride = step.integers("strides") or [1] * rank
    dilation = step.integers("dilations") or [1] * rank
    lengths = [x.shape[x.axis(axis)] for axis in range(2, x.rank)]
    padding = window_padding(step, lengths, size, stride, dilation)
    return Windows(
        tuple(size),
        tuple(stride),
        tuple(padding),
        tuple(dilation),
        bool(step.integer("ceil_mode", 0)),
    )


@register(ONNX, "MaxPool", "Maximum", note="without its second output, Indices")
def max_pool(step: Step) -> Value:
    """Import maximum pooling."""
    step.only_first_output("its output Indices is read, which jumps")
    x = step.value()
    return pooling.max_pool(step.build, step.name, x, _windows(step, x))


@register(ONNX, "AveragePool", "Affine")
def average_pool(step: Step) -> Value:
    """Import average pooling."""
    x = step.value()
    windows = _windows(step, x)
    count = bool(step.integer("count_include_pad", 0))
    if all(gap == 1 for gap in windows.dilation):
        return pooling.average_pool(
            step.build, step.name, x, windows, count_padding=count
        )
    return _dilated_average(step, x, windows, count)


def _dilated_average(step: Step, x: Value, windows: Windows, count: bool) -> Value:
    """Average dilated windows axis by axis: sums and divisors are both products."""
    shape, maps = x.shape, list[LinearMap]()
    lengths = windows.out_lengths(shape[len(shape) - windows.rank :])
    for axis, counted in enumerate(lengths):
        place = len(shape) - windows.rank + axis
        matrix = _averages(windows, axis, shape[place], counted, count)
        maps.append(AlongAxis(matrix, shape, place))
        shape = maps[-1].out_shape
    dims = (*x.dims[: x.rank - windows.rank], *lengths)
    return step.build.linear(step.name, x, dims, *maps)


def _averages(
    windows: Windows, axis: int, length: int, counted: int, count_padding: bool
) -> torch.Tensor:
    before, after = windows.padding[axis]
    matrix = torch.zeros(counted, length, dtype=torch.float64)
    for row in range(counted):
        start = row * windows.stride[axis] - before
        gap, size = windows.dilation[axis], windows.size[axis]
        places = range(start, start + gap * size, gap)
        inside = [p for p in places if 0 <= p < length]
        padded = [p for p in places if -before <= p < length + after]
        if not inside:
            continue
        matrix[row, inside] = 1.0 / len(padded if count_padding else inside)
    return matrix


@register(ONNX, "GlobalAveragePool", "Affine")
def global_average_pool(step: Step) -> Value:
    """Import the mean over all spatial axes."""
    x = step.value()
    axes = list(range(2, x.rank))
    return reductions.mean(step.build, step.name, x, axes, True)


@register(ONNX, "GlobalMaxPool", "Maximum")
def global_max_pool(step: Step) -> Value:
    """Import the maximum over all spatial axes."""
    x = step.value()
    axes = list(range(2, x.rank))
    return reductions.maximum_over(step.build, step.name, x, axes, True)
