"""Convolutions and transposed convolutions."""

from collections.abc import Sequence

from relulens.importers.onnx_model.step import Step
from relulens.importers.operations import convolution
from relulens.importers.registry import RefusedError, register
from relulens.importers.values import Value

ONNX = "ai.onnx"


def window_padding(
    step: Step,
    lengths: Sequence[int],
    window: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> list[tuple[int, int]]:
    """Return the padding before and after every spatial axis.

    Args:
        step: The node.
        lengths: Lengths of the spatial axes.
        window: Length of the window along each.
        stride: Its step.
        dilation: Distance of neighbouring window entries.

    Raises:
        RefusedError: The automatic padding's name is not known.
    """
    kind = step.text("auto_pad", "NOTSET")
    if kind == "VALID":
        return [(0, 0)] * len(window)
    if kind == "NOTSET":
        return paired(step.integers("pads") or [0] * (2 * len(window)))
    if kind not in ("SAME_UPPER", "SAME_LOWER"):
        raise RefusedError(f"its automatic padding is {kind!r}")
    pads: list[tuple[int, int]] = []
    for length, size, move, gap in zip(lengths, window, stride, dilation, strict=True):
        reach = gap * (size - 1) + 1
        total = max((-(-length // move) - 1) * move + reach - length, 0)
        pads.append(_halves(total, kind == "SAME_UPPER"))
    return pads


def _halves(total: int, more_after: bool) -> tuple[int, int]:
    less, more = total // 2, total - total // 2
    return (less, more) if more_after else (more, less)


def paired(pads: Sequence[int]) -> list[tuple[int, int]]:
    """Return ONNX's list of all starts and all ends as pairs."""
    half = len(pads) // 2
    return list(zip(pads[:half], pads[half:], strict=True))


def _framed(step: Step, weight_rank: int) -> tuple[Value, list[int]]:
    """Return the argument and the lengths of its spatial axes."""
    x = step.value()
    if x.rank != weight_rank:
        raise RefusedError(
            f"its argument has {x.rank} axes and its kernel {weight_rank}"
        )
    return x, [x.shape[x.axis(axis)] for axis in range(2, x.rank)]


@register(ONNX, "Conv", "Affine", note="constant kernel")
def conv(step: Step) -> Value:
    """Import a convolution."""
    weight = step.constant(1)
    x, lengths = _framed(step, weight.ndim)
    rank = weight.ndim - 2
    stride = step.integers("strides") or [1] * rank
    dilation = step.integers("dilations") or [1] * rank
    return convolution.convolution(
        step.build,
        step.name,
        x,
        weight,
        step.optional(2),
        stride=stride,
        padding=window_padding(step, lengths, weight.shape[2:], stride, dilation),
        dilation=dilation,
        groups=step.integer("group", 1),
    )


@register(ONNX, "ConvTranspose", "Affine", note="constant kernel")
def conv_transpose(step: Step) -> Value:
    """Import a transposed convolution."""
    weight = step.constant(1)
    x, lengths = _framed(step, weight.ndim)
    rank = weight.ndim - 2
    stride = step.integers("strides") or [1] * rank
    dilation = step.integers("dilations") or [1] * rank
    extra = step.integers("output_padding") or [0] * rank
    sizes = [
        move * (length - 1) + more + gap * (size - 1) + 1
        for length, size, move, gap, more in zip(
            lengths, weight.shape[2:], stride, dilation, extra, strict=True
        )
    ]
    return convolution.transposed_convolution(
        step.build,
        step.name,
        x,
        weight,
        step.optional(2),
        stride=stride,
        padding=_cropping(step, lengths, stride, sizes),
        dilation=dilation,
        output_padding=extra,
        groups=step.integer("group", 1),
    )


def _cropping(
    step: Step, lengths: Sequence[int], stride: Sequence[int], sizes: Sequence[int]
) -> list[tuple[int, int]]:
    """Return what is cropped before and after every axis of the full result.

    Args:
        step: The node.
        lengths: Lengths of the argument's spatial axes.
        stride: The step.
        sizes: Lengths of the result without any cropping.
    """
    kind = step.text("auto_pad", "NOTSET")
    wanted = step.integers("output_shape")
    if wanted is None and kind.startswith("SAME"):
        wanted = [length * move for length, move in zip(lengths, stride, strict=True)]
    if wanted is None:
        if kind == "VALID":
            return [(0, 0)] * len(sizes)
        return paired(step.integers("pads") or [0] * (2 * len(sizes)))
    # Newer versions of the standard list only the spatial lengths; so did the older.
    totals = [
        size - goal for size, goal in zip(sizes, wanted[-len(sizes) :], strict=True)
    ]
    return [_halves(total, kind == "SAME_UPPER") for total in totals]
