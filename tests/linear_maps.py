"""Linear maps of every kind with whole coefficients, by name."""

from collections.abc import Callable

import torch
from networks import whole, windows
from scipy.sparse import csr_array

from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import (
    Added,
    Adjoint,
    AlongAxis,
    Arrow,
    AveragePool,
    Composed,
    Convolution,
    Diagram,
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


def _convolution(
    outs: int, ins: int, lengths: tuple[int, ...], kernel: Windows, groups: int = 1
) -> Convolution:
    weight = whole(outs, ins // groups, *kernel.size, seed=outs + ins)
    return Convolution(weight, (ins, *lengths), kernel, groups)


def _sparse(rows: tuple[int, ...], columns: tuple[int, ...]) -> SparseMatrix:
    size = torch.Size(rows).numel(), torch.Size(columns).numel()
    table = whole(*size, seed=3) * (whole(*size, seed=4) > 1)
    return SparseMatrix(csr_array(table.numpy()), columns, rows)


def _diamond() -> Diagram:
    first, left, right = (AlongAxis(whole(3, 3, seed=i), (3,), 0) for i in range(3))
    arrows = (
        Arrow(0, 1, first),
        Arrow(1, 2, left),
        Arrow(0, 2, Identity((3,))),
        Arrow(1, 3, right),
        Arrow(2, 3, Scale(whole(3, seed=5), (3,))),
    )
    return Diagram(arrows)


def _cancelling() -> Composed:
    split = AlongAxis(torch.tensor([[1.0], [1.0]]).double(), (1,), 0)
    meet = AlongAxis(torch.tensor([[1.0, -1.0]]).double(), (2,), 0)
    return Composed((split, meet))


def _ceiling(size: int, stride: int, padding: int, count: bool) -> AveragePool:
    return AveragePool(
        (2, 7, 6), windows((size, size), stride, padding, 1, True), count
    )


_INDEX = torch.tensor([[4, -1, 0], [4, 2, 5]])

MAPS: dict[str, Callable[[], LinearMap]] = {
    "identity": lambda: Identity((2, 3)),
    "identity of nothing": lambda: Identity((0, 3)),
    "scale": lambda: Scale(whole(3, 1, seed=1), (3, 4)),
    "scale by one number": lambda: Scale(torch.tensor(-2.0).double(), (2, 2)),
    "reshape": lambda: Reshape((2, 6), (3, 4)),
    "reshape to a number": lambda: Reshape((1,), ()),
    "permute": lambda: Permute((2, 3, 4), (2, 0, 1)),
    "slice": lambda: Slice((4, 5), ((1, 4, 2), (0, 5, 3))),
    "empty slice": lambda: Slice((4, 5), ((2, 2, 1), (0, 5, 1))),
    "gather": lambda: Gather((2, 3), _INDEX),
    "gather once": lambda: Gather((6,), torch.tensor([5, 0, -1])),
    "along the last axis": lambda: AlongAxis(whole(3, 4), (2, 4), 1),
    "along the middle axis": lambda: AlongAxis(whole(3, 4), (4, 5), 0),
    "along the first axis": lambda: AlongAxis(whole(2, 3), (3, 2, 4), 0),
    "along an empty axis": lambda: AlongAxis(torch.zeros(2, 0).double(), (0, 3), 0),
    "sum": lambda: SumOver((2, 3, 4), (0, 2)),
    "sum over nothing": lambda: SumOver((2, 3), ()),
    "sparse": lambda: _sparse((2, 2), (5,)),
    "empty sparse": lambda: SparseMatrix(csr_array((0, 3)), (3,), (0,)),
    "conv": lambda: _convolution(3, 2, (5, 6), windows((3, 3), 1, 1)),
    "strided conv": lambda: _convolution(3, 2, (7, 6), windows((3, 2), 2, 1)),
    "dilated conv": lambda: _convolution(2, 2, (7, 8), windows((3, 3), 2, 2, 2)),
    "grouped conv": lambda: _convolution(4, 6, (4, 4), windows((3, 3), 1, 1), 2),
    "depthwise conv": lambda: _convolution(6, 3, (5, 5), windows((3, 3), 2, 1), 3),
    "pointwise conv": lambda: _convolution(4, 3, (3, 3), windows((1, 1))),
    "strided pointwise conv": lambda: _convolution(3, 2, (5, 5), windows((1, 1), 2)),
    "conv over everything": lambda: _convolution(4, 2, (3, 3), windows((3, 3))),
    "conv 1d": lambda: _convolution(3, 2, (9,), windows((4,), 3, 2, 2)),
    "conv 3d": lambda: _convolution(2, 2, (3, 4, 3), windows((2, 3, 2), 1, 1)),
    "uneven conv": lambda: _convolution(
        2, 1, (6, 5), Windows((3, 2), (2, 1), ((1, 1), (0, 0)), (1, 2))
    ),
    "transposed conv": lambda: Adjoint(
        _convolution(2, 3, (6, 6), windows((3, 3), 2, 1))
    ),
    "average": lambda: AveragePool((2, 6, 6), windows((2, 2), 2)),
    "overlapping average": lambda: AveragePool((1, 6, 6), windows((3, 3), 2, 1)),
    "average with padding": lambda: AveragePool((1, 6, 5), windows((4, 4), 3, 2), True),
    "average ceil": lambda: _ceiling(3, 2, 1, False),
    "average ceil with padding": lambda: _ceiling(3, 2, 1, True),
    "average 1d": lambda: AveragePool((2, 8), windows((4,), 2, 1)),
    "average 3d": lambda: AveragePool((1, 4, 4, 4), windows((2, 2, 2), 2)),
    "adjoint of sum": lambda: Adjoint(SumOver((3, 2), (0,))),
    "adjoint of gather": lambda: Adjoint(Gather((2, 3), _INDEX)),
    "composed": lambda: Composed((
        AlongAxis(whole(4, 3), (3,), 0),
        Reshape((4,), (2, 2)),
        SumOver((2, 2), (0,)),
    )),
    "conv then scale": lambda: Composed((
        _convolution(3, 2, (4, 4), windows((3, 3), 1, 1)),
        Scale(whole(3, 1, 1, seed=2), (3, 4, 4)),
    )),
    "conv then conv": lambda: Composed((
        _convolution(2, 1, (5, 5), windows((3, 3), 1, 1)),
        _convolution(1, 2, (5, 5), windows((3, 3), 1, 1)),
    )),
    "cancelling": _cancelling,
    "added": lambda: Added((
        Identity((3,)),
        AlongAxis(whole(3, 3, seed=7), (3,), 0),
        Identity((3,)),
    )),
    "added to nothing": lambda: Added((
        Identity((2,)),
        Scale(torch.tensor(-1.0).double(), (2,)),
    )),
    "diagram": _diamond,
}
