"""The input of an ONNX graph: its name, type and axes, the batch among them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto

from relulens.errors import AmbiguousModelError, ModelLoadError
from relulens.importers.values import BatchAxis, Dim, Dims

_FLOATS = {
    TensorProto.FLOAT: np.dtype(np.float32),
    TensorProto.DOUBLE: np.dtype(np.float64),
    TensorProto.FLOAT16: np.dtype(np.float16),
}
_BATCH_WORDS = ("batch", "batch_size", "batchsize", "n", "bs", "b", "none")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GraphInput:
    """What the graph reads.

    Attributes:
        name: Name of the tensor.
        dtype: Its type in the file.
        dims: Its axes; the batch is one of them, or there is none.
        fixed: Whether the file allows one input at a time only.
        notes: What a reader of results must know.
    """

    name: str
    dtype: np.dtype
    dims: Dims
    fixed: bool
    notes: tuple[str, ...] = ()


def graph_input(
    graph: onnx.GraphProto, input_shape: Sequence[int] | None, path: str
) -> GraphInput:
    """Return the graph's only input, initializers not counted.

    Args:
        graph: The graph.
        input_shape: Shape of one input, for what the file leaves open.
        path: The file, for messages.

    Raises:
        AmbiguousModelError: There are several inputs.
        ModelLoadError: There is none, it is not of floating point, or a length is open.
    """
    given = {item.name for item in graph.initializer}
    given |= {item.values.name for item in graph.sparse_initializer}
    found = [item for item in graph.input if item.name not in given]
    if not found:
        raise ModelLoadError(
            f"cannot load {path!r}: its graph has 0 inputs, and 1 is needed. Export the"
            " model with its input."
        )
    if len(found) > 1:
        advice = "Export the model with one input, or fold the others into constants."
        raise AmbiguousModelError("input", [item.name for item in found], advice)
    item = found[0]
    lengths = _lengths(item)
    if lengths is None:
        lengths = [None, *_wanted(input_shape, item.name, path)]
    place = _batch_place(lengths)
    dims = _dims(lengths, place, input_shape, item.name, path)
    return GraphInput(
        name=item.name,
        dtype=_dtype(item, path),
        dims=dims,
        fixed=place is None or isinstance(lengths[place], int),
        notes=() if place is not None else (_unbatched(item.name, lengths),),
    )


def _unbatched(name: str, lengths: Sequence[object]) -> str:
    what = f"fixes its first axis to {lengths[0]}" if lengths else "gives it no axis"
    return f"the file {what}, so {name!r} as a whole counts as one input"


def _wanted(input_shape: Sequence[int] | None, name: str, path: str) -> Sequence[int]:
    if input_shape is None:
        raise ModelLoadError(
            f"cannot load {path!r}: its input {name!r} has lengths that the file leaves"
            " open besides the batch, and a network here has none. Pass input_shape=,"
            " the shape of one input without the batch axis."
        )
    return input_shape


def _batch_place(lengths: Sequence[int | str | None]) -> int | None:
    """Return where the batch is: an open axis, or the first if it has length one."""
    open_ = [i for i, length in enumerate(lengths) if not isinstance(length, int)]
    if open_:
        named = [i for i in open_ if str(lengths[i]).lower() in _BATCH_WORDS]
        return (named or open_)[0]
    return 0 if lengths and lengths[0] == 1 else None


def _dims(
    lengths: Sequence[int | str | None],
    place: int | None,
    input_shape: Sequence[int] | None,
    name: str,
    path: str,
) -> Dims:
    rest = [length for i, length in enumerate(lengths) if i != place]
    if not all(isinstance(length, int) for length in rest):
        _wanted(input_shape, name, path)
    if input_shape is not None:
        fits = len(rest) == len(input_shape) and all(
            length == size or not isinstance(length, int)
            for length, size in zip(rest, input_shape, strict=True)
        )
        if not fits:
            raise ModelLoadError(
                f"cannot load {path!r}: one input of {name!r} has shape"
                f" {[length or '?' for length in rest]} in the file, and input_shape is"
                f" {list(input_shape)}. Pass the shape without the batch axis."
            )
    sizes = iter(rest if input_shape is None else input_shape)
    dims: list[Dim] = []
    for i in range(len(lengths)):
        size = BatchAxis() if i == place else next(sizes)
        if isinstance(size, (int, BatchAxis)):
            dims.append(size)
    return tuple(dims)


def _dtype(item: onnx.ValueInfoProto, path: str) -> np.dtype:
    kind = item.type.tensor_type.elem_type
    if kind in _FLOATS:
        return _FLOATS[kind]
    name = TensorProto.DataType.Name(kind)
    raise ModelLoadError(
        f"cannot load {path!r}: its input {item.name!r} is of type {name}, and float16,"
        " float32 or float64 is needed. A network on token ids starts at the"
        " embedding's output: export it from there."
    )


def _lengths(item: onnx.ValueInfoProto) -> list[int | str | None] | None:
    """Return the declared axes, a length, a name or nothing each; nothing if absent."""
    if not item.type.tensor_type.HasField("shape"):
        return None
    return [
        dim.dim_value
        if dim.HasField("dim_value") and dim.dim_value > 0
        else (dim.dim_param or None)
        for dim in item.type.tensor_type.shape.dim
    ]
