"""Words for what a node does, short enough for a diagram."""

import math

from relulens.graph.linear_map import LinearMap, Shape
from relulens.graph.maps import (
    Added,
    Adjoint,
    AlongAxis,
    AveragePool,
    Composed,
    Convolution,
    Gather,
    Identity,
    Permute,
    Reshape,
    Scale,
    Slice,
    SparseMatrix,
    SumOver,
)
from relulens.graph.maps.windows import Windows
from relulens.graph.nodes import (
    Affine,
    Coupled,
    Input,
    Maximum,
    Node,
    Smooth,
    TwoSlope,
)

TIMES = "\N{MULTIPLICATION SIGN}"

QUIET = frozenset({"reshape", "permute", "scale", ""})
"""Labels that say little beside those of other maps."""

_PLAIN: dict[type[LinearMap], str] = {
    Added: "sum of maps",
    Gather: "gather",
    Identity: "",
    Permute: "permute",
    Reshape: "reshape",
    Scale: "scale",
    Slice: "slice",
    SparseMatrix: "sparse matrix",
    SumOver: "sum",
}


def node_label(node: Node) -> str:
    """Return in a word or two what a node does."""
    match node:
        case Input():
            return "input"
        case Affine():
            return _affine_label(node)
        case TwoSlope():
            return _two_slope_label(node)
        case Maximum():
            windows = node.groups.windows
            return (
                "maximum"
                if windows is None
                else f"max-pool {_window(windows, windows.size)}"
            )
        case Smooth():
            return node.function.name
        case Coupled():
            return node.function.name


def shape_label(shape: Shape) -> str:
    """Return a shape with multiplication signs.

    Example:
        >>> shape_label((16, 8, 8)), shape_label(())
        ('16 × 8 × 8', 'one number')
    """
    return f" {TIMES} ".join(map(str, shape)) if shape else "one number"


def _affine_label(node: Affine) -> str:
    if not node.terms:
        return "constant"
    if len(node.terms) == 1:
        label = map_label(node.terms[0].map)
        return label or ("shift" if node.bias is not None else "identity")
    if all(isinstance(term.map, Identity) for term in node.terms):
        return "add"
    sizes = [term.map.in_size for term in node.terms]
    if sum(sizes) == math.prod(node.shape) and all(
        term.map.columns_single and term.map.rows_single for term in node.terms
    ):
        return "concat"
    words = [map_label(term.map) for term in node.terms]
    loud = list(dict.fromkeys(word for word in words if word not in QUIET))
    return " + ".join([*loud[:2], "add"]) if loud else "add"


def _two_slope_label(node: TwoSlope) -> str:
    low = node.negative.unique().tolist()
    high = node.positive.unique().tolist()
    if high == [1.0] and low == [0.0]:
        return "ReLU"
    if high == [1.0] and low == [-1.0]:
        return "abs"
    if high == [1.0] and len(low) == 1:
        return f"leaky ReLU {low[0]:.3g}"
    return "PReLU" if high == [1.0] else "two slopes"


def map_label(map_: LinearMap) -> str:
    """Return in a word or two what a linear map does; nothing for the identity."""
    match map_:
        case Composed():
            words = [map_label(part) for part in map_.maps]
            loud = [word for word in words if word not in QUIET]
            return ", ".join(dict.fromkeys(loud)) or next(filter(None, words), "")
        case Convolution():
            return _convolution_label(map_)
        case Adjoint(map=Convolution() as inner):
            return f"transposed conv {_window(inner.windows)}"
        case Adjoint(map=inner):
            return {"slice": "pad", "sum": "repeat"}.get(map_label(inner), "adjoint")
        case AlongAxis():
            return f"dense {map_.matrix.shape[0]}"
        case AveragePool():
            return f"average pool {_window(map_.windows, map_.windows.size)}"
        case _:
            return _PLAIN.get(type(map_), "linear map")


def _convolution_label(map_: Convolution) -> str:
    out = map_.weight.shape[0]
    grouped = "" if map_.groups == 1 else f", {map_.groups} groups"
    return f"conv {_window(map_.windows)}, {out}{grouped}"


def _window(windows: Windows, usual: Shape = (1,)) -> str:
    """Return size and step of windows; the usual step goes without saying."""
    size = TIMES.join(map(str, windows.size))
    if windows.stride in (usual, usual * windows.rank):
        return size
    same = len(set(windows.stride)) == 1
    step = windows.stride[:1] if same else windows.stride
    return f"{size} step {TIMES.join(map(str, step))}"
