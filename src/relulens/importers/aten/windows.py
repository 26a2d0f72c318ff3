"""Rules of convolutions and pooling."""

from relulens.graph.maps.windows import Windows
from relulens.importers.aten.call import Call, aten
from relulens.importers.aten.sources import Missing, Source
from relulens.importers.operations import convolution as convolutions
from relulens.importers.operations import pooling
from relulens.importers.registry import RefusedError
from relulens.importers.values import Value


def _batched(call: Call, x: Value, rank: int) -> Value:
    """Refuse arguments without a channel axis behind the batch."""
    if x.rank != rank + 2:
        raise RefusedError(
            f"its argument has {x.rank} axes, and {rank + 2} are needed, batch first"
        )
    return x


@aten(("conv1d", "conv2d", "conv3d"), "Affine", note="any padding, stride, dilation")
def _conv(call: Call) -> Value:
    weight = call.tensor("weight")
    rank = weight.ndim - 2
    dilation = call.spread("dilation", rank)
    if isinstance(call.arguments["padding"], str):
        word = call.text("padding")
        padding = ((0, 0),) * rank
        if word == "same":
            padding = convolutions.same_padding(tuple(weight.shape[2:]), dilation)
    else:
        padding = convolutions.symmetric(call.spread("padding", rank))
    return convolutions.convolution(
        call.build,
        call.name,
        _batched(call, call.value("input"), rank),
        weight,
        call.optional_tensor("bias"),
        stride=call.spread("stride", rank),
        padding=padding,
        dilation=dilation,
        groups=call.integer("groups"),
    )


@aten(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), "Affine")
def _conv_transpose(call: Call) -> Value:
    weight = call.tensor("weight")
    rank = weight.ndim - 2
    return convolutions.transposed_convolution(
        call.build,
        call.name,
        _batched(call, call.value("input"), rank),
        weight,
        call.optional_tensor("bias"),
        stride=call.spread("stride", rank),
        padding=convolutions.symmetric(call.spread("padding", rank)),
        dilation=call.spread("dilation", rank),
        output_padding=call.spread("output_padding", rank),
        groups=call.integer("groups"),
    )


@aten("convolution", "Affine")
def _convolution(call: Call) -> Value:
    return _conv_transpose(call) if call.flag("transposed") else _conv(call)


def _windows(call: Call, rank: int) -> Windows:
    size = call.spread("kernel_size", rank)
    stride = call.spread("stride", rank) if call.integers("stride") else size
    dilated = "dilation" in call.arguments
    return Windows(
        size,
        stride,
        convolutions.symmetric(call.spread("padding", rank)),
        call.spread("dilation", rank) if dilated else (1,) * rank,
        call.flag("ceil_mode"),
    )


def _rank(call: Call) -> int:
    return int(call.operation.split("pool")[1][0])


@aten(("max_pool1d", "max_pool2d", "max_pool3d"), "Maximum", note="any padding")
def _max_pool(call: Call) -> Value:
    windows = _windows(call, _rank(call))
    return pooling.max_pool(call.build, call.name, call.value(), windows)


_PLACES = Missing("positions of maxima are not continuous")


@aten(
    (
        "max_pool1d_with_indices",
        "max_pool2d_with_indices",
        "max_pool3d_with_indices",
    ),
    "Maximum",
    note="values only",
)
def _max_pool_with_indices(call: Call) -> tuple[Source, ...]:
    return _max_pool(call), _PLACES


@aten(("avg_pool1d", "avg_pool2d", "avg_pool3d"), "Affine")
def _avg_pool(call: Call) -> Value:
    divisor = call.arguments.get("divisor_override")
    return pooling.average_pool(
        call.build,
        call.name,
        call.value(),
        _windows(call, _rank(call)),
        count_padding=call.flag("count_include_pad"),
        divisor=None if divisor is None else call.integer("divisor_override"),
    )


@aten(
    (
        "adaptive_avg_pool1d",
        "adaptive_avg_pool2d",
        "adaptive_avg_pool3d",
        "_adaptive_avg_pool2d",
        "_adaptive_avg_pool3d",
    ),
    "Affine",
)
def _adaptive_avg_pool(call: Call) -> Value:
    sizes = call.spread("output_size", _rank(call))
    return pooling.adaptive_average_pool(call.build, call.name, call.value(), sizes)


@aten(
    ("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"),
    "Maximum",
    note="values only",
)
def _adaptive_max_pool(call: Call) -> tuple[Source, ...]:
    sizes = call.spread("output_size", _rank(call))
    best = pooling.adaptive_max_pool(call.build, call.name, call.value(), sizes)
    return best, _PLACES
