"""Reductions over axes."""

from relulens.graph.smooth import LOG, SQRT, SQUARE
from relulens.importers.onnx_model.step import Step
from relulens.importers.operations import activations, reductions
from relulens.importers.registry import RefusedError, register
from relulens.importers.values import Value

ONNX = "ai.onnx"


def _over(step: Step) -> tuple[list[int] | None, bool]:
    """Return the axes (nothing for all) and whether they stay."""
    axes = step.listed("axes", 1)
    if not axes and not step.integer("noop_with_empty_axes", 0):
        axes = None
    elif axes is None:
        axes = list[int]()
    return axes, bool(step.integer("keepdims", 1))


@register(ONNX, "ReduceMean", "Affine")
def mean(step: Step) -> Value:
    """Import a mean."""
    return reductions.mean(step.build, step.name, step.value(), *_over(step))


@register(ONNX, "ReduceSum", "Affine")
def sum_(step: Step) -> Value:
    """Import a sum."""
    return reductions.sum_over(step.build, step.name, step.value(), *_over(step))


def _extreme(step: Step, *, least: bool) -> Value:
    axes, keep = _over(step)
    x = step.value()
    if axes == []:
        return step.build.linear(step.name, x, x.dims)
    return reductions.maximum_over(step.build, step.name, x, axes, keep, least=least)


@register(ONNX, "ReduceMax", "Maximum")
def maximum(step: Step) -> Value:
    """Import a maximum."""
    return _extreme(step, least=False)


@register(ONNX, "ReduceMin", "Maximum")
def minimum(step: Step) -> Value:
    """Import a minimum."""
    return _extreme(step, least=True)


@register(ONNX, "ReduceL1", "TwoSlope")
def absolute_sum(step: Step) -> Value:
    """Import a sum of absolute values."""
    sizes = activations.absolute(step.build, f"{step.name}.abs", step.value())
    return reductions.sum_over(step.build, step.name, sizes, *_over(step))


def _squares(step: Step, name: str) -> Value:
    squares = step.build.smooth(f"{step.name}.squares", step.value(), SQUARE)
    return reductions.sum_over(step.build, name, squares, *_over(step))


@register(ONNX, "ReduceSumSquare", "Smooth")
def square_sum(step: Step) -> Value:
    """Import a sum of squares."""
    return _squares(step, step.name)


@register(ONNX, "ReduceL2", "Smooth")
def euclidean(step: Step) -> Value:
    """Import a Euclidean norm."""
    return step.build.smooth(step.name, _squares(step, f"{step.name}.sum"), SQRT)


@register(ONNX, "ReduceLogSum", "Smooth")
def log_sum(step: Step) -> Value:
    """Import the logarithm of a sum."""
    total = reductions.sum_over(
        step.build, f"{step.name}.sum", step.value(), *_over(step)
    )
    return step.build.smooth(step.name, total, LOG)


@register(ONNX, "ReduceLogSumExp", "Coupled")
def log_sum_exp(step: Step) -> Value:
    """Import the logarithm of a sum of exponentials."""
    axes, keep = _over(step)
    if axes == []:
        raise RefusedError("it reduces no axis")
    return reductions.log_sum_exp(step.build, step.name, step.value(), axes, keep)


@register(ONNX, "CumSum", "Affine", since=11)
def cumulative_sum(step: Step) -> Value:
    """Import running sums."""
    return reductions.cumulative_sum(
        step.build,
        step.name,
        step.value(),
        step.wholes(1)[0],
        exclusive=bool(step.integer("exclusive", 0)),
        reverse=bool(step.integer("reverse", 0)),
    )
