"""Rules of operations that move entries and of those that do nothing."""

from relulens.importers.aten.call import Call, aten
from relulens.importers.aten.movement import moved
from relulens.importers.aten.sources import Masked
from relulens.importers.operations import indexing
from relulens.importers.operations import shapes as operations
from relulens.importers.registry import RefusedError
from relulens.importers.values import Dims, Value, reshaped_dims, source_axis


def _held(call: Call, key: str = "self") -> Value | Masked:
    found = call.arguments[key]
    return found if isinstance(found, Masked) else call.value(key)


@aten(
    (
        "contiguous",
        "clone",
        "alias",
        "detach",
        "lift_fresh",
        "lift_fresh_copy",
        "view_as",
        "positive",
    ),
    "Affine",
    note="the identity",
)
def _same(call: Call) -> Value | Masked:
    return _held(call)


@aten(
    ("_to_copy", "to", "type_as", "float", "double"),
    "Affine",
    note="between floating-point types: the identity",
)
def _cast(call: Call) -> Value | Masked:
    wanted = call.arguments.get("dtype")
    if wanted is not None and not getattr(wanted, "is_floating_point", True):
        raise RefusedError(f"it rounds to {wanted}, so it is not continuous")
    return _held(call)


def _target_dims(call: Call, x: Value) -> Dims:
    if not call.target.follows or (
        call.target.batch is None and x.batch_position is not None
    ):
        raise RefusedError("it tears the batch apart")
    return reshaped_dims(x.dims, call.target.lengths, call.target.batch)


@aten(
    ("view", "reshape", "_unsafe_view", "flatten", "unflatten", "_reshape_copy"),
    "Affine",
)
def _view(call: Call) -> Value:
    x = call.value()
    return operations.reshape(call.build, call.name, x, _target_dims(call, x))


@aten("permute", "Affine")
def _permute(call: Call) -> Value:
    order = call.integers("dims")
    return operations.permute(call.build, call.name, call.value(), order)


@aten(("transpose", "swapaxes", "swapdims"), "Affine")
def _transpose(call: Call) -> Value:
    x = call.value()
    keys = [key for key in call.arguments if key != "self"]
    first, second = (source_axis(call.integer(key), x.rank) for key in keys)
    order = list(range(x.rank))
    order[first], order[second] = order[second], order[first]
    return operations.permute(call.build, call.name, x, order)


@aten(("t", "numpy_T", "mT"), "Affine")
def _turn(call: Call) -> Value:
    x = call.value()
    order = list(range(x.rank))
    if call.operation == "numpy_T":
        order.reverse()
    elif x.rank >= 2:
        order[-2:] = [x.rank - 1, x.rank - 2]
    return operations.permute(call.build, call.name, x, order)


@aten("squeeze", "Affine")
def _squeeze(call: Call) -> Value:
    x = call.value()
    axes = call.integers("dim") if "dim" in call.arguments else range(x.rank)
    kept = [axis for axis in axes if x.dims[source_axis(axis, x.rank)] == 1]
    return operations.squeeze(call.build, call.name, x, kept)


@aten("unsqueeze", "Affine")
def _unsqueeze(call: Call) -> Value:
    return operations.unsqueeze(
        call.build, call.name, call.value(), [call.integer("dim")]
    )


def _expanded(call: Call, x: Value) -> Value:
    """Return a value repeated to the result's shape."""
    target, place = call.target, x.batch_position
    if not target.follows or (place is None) != (target.batch is None):
        raise RefusedError("it repeats along the batch")
    dims: Dims = target.lengths
    if place is not None and target.batch is not None:
        dims = (*dims[: target.batch], x.dims[place], *dims[target.batch + 1 :])
    return operations.expand(call.build, call.name, x, dims)


@aten(("expand", "expand_as", "broadcast_to"), "Affine")
def _expand(call: Call) -> Value:
    return _expanded(call, call.value())


@aten("copy", "Affine", note="what is written in place")
def _copy(call: Call) -> Value:
    return _expanded(call, call.value("src"))


@aten("select", "Affine")
def _select(call: Call) -> Value:
    axis, index = call.integer("dim"), call.integer("index")
    return indexing.select(call.build, call.name, call.value(), axis, index)


@aten(
    (
        "roll",
        "flip",
        "rot90",
        "tile",
        "repeat",
        "repeat_interleave.self_int",
        "unfold",
        "im2col",
        "pixel_shuffle",
        "pixel_unshuffle",
        "channel_shuffle",
        "native_channel_shuffle",
        "tril",
        "triu",
        "diagonal",
        "diag_embed",
        "movedim",
        "slice_scatter",
        "select_scatter",
        "index.Tensor",
        "index_select",
        "gather",
        "unfold_copy",
    ),
    "Affine",
    note="constant indices",
)
def _moved(call: Call) -> Value:
    return moved(call)


@aten(("index_put", "_unsafe_index_put"), "Affine", note="constant indices, no sums")
def _index_put(call: Call) -> Value:
    if call.flag("accumulate"):
        raise RefusedError("it adds at indices: accumulate=True")
    return moved(call)
