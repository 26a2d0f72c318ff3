"""Rules of slices, joins, pads and resizing."""

from typing import Literal

from torch import Tensor

from relulens.importers.aten.call import Call, aten
from relulens.importers.aten.movement import moved
from relulens.importers.aten.sources import Source
from relulens.importers.operations import indexing, resize
from relulens.importers.operations.padding import pad
from relulens.importers.operations.resize import Resized
from relulens.importers.registry import RefusedError
from relulens.importers.values import BatchAxis, Value, source_axis


@aten(("slice", "narrow"), "Affine")
def _slice(call: Call) -> Value:
    x, axis = call.value(), call.integer("dim")
    if isinstance(x.dims[source_axis(axis, x.rank)], BatchAxis):
        return _whole_batch(call, x)
    start = None if call.arguments["start"] is None else call.integer("start")
    if "length" in call.arguments:
        length = call.integer("length")
        first = start or 0
        first += x.shape[x.axis(axis)] if first < 0 else 0
        return indexing.slice_axis(
            call.build, call.name, x, axis, first, first + length, 1
        )
    stop = None if call.arguments["end"] is None else call.integer("end")
    step = call.integer("step")
    return indexing.slice_axis(call.build, call.name, x, axis, start, stop, step)


def _whole_batch(call: Call, x: Value) -> Value:
    """Return a slice of the batch axis, which must be all of it."""
    start, stop = call.arguments.get("start"), call.arguments.get("end")
    whole = start in (None, 0) and call.arguments.get("step") == 1
    if whole and (stop is None or (isinstance(stop, int) and stop > 2**31)):
        return x
    return moved(call)


@aten(("cat", "concat", "concatenate"), "Affine")
def _cat(call: Call) -> Value:
    operands = [item for item in call.operands("tensors") if not _is_empty(item)]
    if not any(isinstance(item, Value) for item in operands):
        raise RefusedError("everything it joins is constant")
    return indexing.concat(call.build, call.name, operands, call.integer("dim"))


def _is_empty(operand: Value | Tensor) -> bool:
    # An empty vector joins anything: an old rule of torch that models rely on.
    return isinstance(operand, Tensor) and tuple(operand.shape) == (0,)


@aten("stack", "Affine")
def _stack(call: Call) -> Value:
    operands = call.operands("tensors")
    values = [item for item in operands if isinstance(item, Value)]
    if len(values) < len(operands):
        return moved(call)
    return indexing.stack(call.build, call.name, values, call.integer("dim"))


@aten("split", "Affine")
def _split(call: Call) -> tuple[Source, ...]:
    x, axis = call.value(), call.integer("dim")
    length = x.shape[x.axis(axis)]
    sizes = call.integers("split_size")
    if isinstance(call.arguments["split_size"], int):
        step = max(sizes[0], 1)
        sizes = [min(step, length - start) for start in range(0, length, step)]
    return tuple(indexing.split(call.build, call.name, x, sizes, axis))


@aten("split_with_sizes", "Affine")
def _split_with_sizes(call: Call) -> tuple[Source, ...]:
    x, sizes = call.value(), call.integers("split_sizes")
    return tuple(indexing.split(call.build, call.name, x, sizes, call.integer("dim")))


@aten("chunk", "Affine")
def _chunk(call: Call) -> tuple[Source, ...]:
    x, axis = call.value(), call.integer("dim")
    length = x.shape[x.axis(axis)]
    step = max(-(-length // call.integer("chunks")), 1)
    sizes = [min(step, length - start) for start in range(0, length, step)]
    return tuple(indexing.split(call.build, call.name, x, sizes, axis))


@aten("unbind", "Affine")
def _unbind(call: Call) -> tuple[Source, ...]:
    x, axis = call.value(), call.integer("dim")
    count = x.shape[x.axis(axis)]
    return tuple(
        indexing.select(call.build, f"{call.name}.{i}", x, axis, i)
        for i in range(count)
    )


_MODES: dict[str, Literal["constant", "reflect", "edge", "wrap"]] = {
    "constant": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


def _padded(call: Call, mode: str, value: float = 0.0) -> Value:
    x, amounts = (
        call.value(),
        call.integers("pad" if "pad" in call.arguments else "padding"),
    )
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    pads = [(0, 0)] * (x.rank - len(pairs)) + pairs[::-1]
    return pad(call.build, call.name, x, pads, _MODES[mode], value)


@aten("constant_pad_nd", "Affine")
def _constant_pad(call: Call) -> Value:
    return _padded(call, "constant", call.number("value"))


@aten("pad", "Affine", note="constant, reflect, replicate, circular")
def _pad(call: Call) -> Value:
    return _padded(call, call.text("mode"), call.optional_number("value") or 0.0)


@aten(("reflection_pad1d", "reflection_pad2d", "reflection_pad3d"), "Affine")
def _reflection_pad(call: Call) -> Value:
    return _padded(call, "reflect")


@aten(("replication_pad1d", "replication_pad2d", "replication_pad3d"), "Affine")
def _replication_pad(call: Call) -> Value:
    return _padded(call, "replicate")


@aten("_pad_circular", "Affine")
def _circular_pad(call: Call) -> Value:
    return _padded(call, "circular")


def _resized(call: Call, x: Value) -> list[Resized]:
    """Return the spatial axes with their new lengths and the scales torch uses."""
    first = 2
    rank = x.rank - first
    given = _scales(call, rank)
    axes: list[Resized] = []
    for i in range(rank):
        new = call.target.lengths[first + i]
        old = x.shape[x.axis(first + i)]
        scale = given[i] if given is not None else new / max(old, 1)
        axes.append(Resized(axis=first + i, size=new, scale=scale))
    return axes


def _scales(call: Call, rank: int) -> list[float] | None:
    found = call.arguments.get("scale_factors")
    if isinstance(found, list):
        return [float(scale) for scale in found if isinstance(scale, (int, float))]
    keys = [
        key
        for key in ("scales", "scales_d", "scales_h", "scales_w")
        if isinstance(call.arguments.get(key), (int, float))
    ]
    return [call.number(key) for key in keys] if len(keys) == rank else None


@aten(
    ("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"),
    "Affine",
)
def _nearest(call: Call) -> Value:
    x = call.value("input" if "input" in call.arguments else "self")
    return resize.nearest(call.build, call.name, x, _resized(call, x))


@aten(
    (
        "_upsample_nearest_exact1d",
        "_upsample_nearest_exact2d",
        "_upsample_nearest_exact3d",
    ),
    "Affine",
)
def _nearest_exact(call: Call) -> Value:
    x = call.value("input" if "input" in call.arguments else "self")
    axes = _resized(call, x)
    return resize.nearest(
        call.build, call.name, x, axes, "half_pixel", "round_prefer_ceil"
    )


@aten(("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"), "Affine")
def _linear(call: Call) -> Value:
    x = call.value("input" if "input" in call.arguments else "self")
    rule = "align_corners" if call.flag("align_corners") else "half_pixel"
    return resize.linear(call.build, call.name, x, _resized(call, x), rule)


@aten("upsample_bicubic2d", "Affine")
def _cubic(call: Call) -> Value:
    x = call.value("input" if "input" in call.arguments else "self")
    rule = "align_corners" if call.flag("align_corners") else "half_pixel"
    return resize.cubic(call.build, call.name, x, _resized(call, x), rule)
