"""Operations that move entries, and reductions."""

import numpy as np
from importers.onnx.case import Case, ints

SHAPES = [
    Case("Reshape", "Reshape", (3, 4), (ints(-1, 12),)),
    Case("Reshape-zero", "Reshape", (3, 4), (ints(0, 2, -1),)),
    Case("Reshape-merge", "Reshape", (3, 4), (ints(-1, 4),)),
    Case("Flatten", "Flatten", (3, 4)),
    Case("Flatten-2", "Flatten", (3, 4), attributes={"axis": 2}),
    Case("Flatten-0", "Flatten", (3, 4), attributes={"axis": 0}),
    Case("Flatten-last", "Flatten", (3, 4), attributes={"axis": -1}, since=11),
    Case("Transpose", "Transpose", (3, 4), attributes={"perm": [0, 2, 1]}),
    Case("Squeeze-old", "Squeeze", (1, 4), attributes={"axes": [1]}, until=11),
    Case("Squeeze", "Squeeze", (1, 4), (ints(1),), since=13),
    Case("Unsqueeze-old", "Unsqueeze", (4,), attributes={"axes": [1, 3]}, until=11),
    Case("Unsqueeze", "Unsqueeze", (4,), (ints(1, -1),), since=13),
    Case("Expand", "Expand", (1, 4), (ints(1, 3, 1),), since=8),
    Case("Tile", "Tile", (2, 3), (ints(1, 2, 3),)),
    Case("DepthToSpace", "DepthToSpace", (8, 2, 3), attributes={"blocksize": 2}),
    Case(
        "DepthToSpace-CRD",
        "DepthToSpace",
        (8, 2, 3),
        attributes={"blocksize": 2, "mode": "CRD"},
        since=11,
    ),
    Case("SpaceToDepth", "SpaceToDepth", (2, 4, 6), attributes={"blocksize": 2}),
    Case("Trilu", "Trilu", (4, 5), (np.array(1),), since=14),
    Case("Trilu-lower", "Trilu", (4, 5), (), {"upper": 0}, since=14),
]

INDEXING = [
    Case(
        "Slice-old",
        "Slice",
        (5, 6),
        attributes={"starts": [1, -4], "ends": [4, 100], "axes": [1, 2]},
        until=9,
    ),
    Case("Slice", "Slice", (5, 6), (ints(1, -4), ints(4, 100), ints(1, 2)), since=10),
    Case(
        "Slice-steps",
        "Slice",
        (5, 6),
        (ints(0, -1), ints(5, -(2**62)), ints(1, -1), ints(2, -2)),
        since=10,
    ),
    Case(
        "Slice-batch",
        "Slice",
        (5, 6),
        (ints(0, 2), ints(2**62, 3), ints(0, 1)),
        since=10,
    ),
    Case("Gather", "Gather", (5, 6), (ints(3, 0, -1, 3),), {"axis": 1}),
    Case("Gather-one", "Gather", (5, 6), (np.array(2),), {"axis": -1}),
    Case("Gather-table", "Gather", (5, 6), (np.array([[0, 1], [4, 2]]),), {"axis": 1}),
    Case("Pad-old", "Pad", (3, 4), attributes={"pads": [0, 1, 0, 0, 0, 2]}, until=10),
    Case(
        "Pad-edge",
        "Pad",
        (3, 4),
        attributes={"pads": [0, 1, 3, 0, 0, 2], "mode": "edge"},
        until=10,
    ),
    Case("Pad", "Pad", (3, 4), (ints(0, 1, 0, 0, 2, 1), np.array(1.5)), since=11),
    Case(
        "Pad-crop",
        "Pad",
        (3, 4),
        (ints(0, -1, 2, 0, 0, -1),),
        since=11,
        until=17,
        runtime=True,
    ),
    Case(
        "Pad-reflect",
        "Pad",
        (3, 4),
        (ints(0, 1, 2, 0, 2, 1),),
        {"mode": "reflect"},
        since=11,
    ),
    Case("Pad-axes", "Pad", (3, 4), (ints(1, 2), np.array(0.0), ints(-1)), since=18),
    Case(
        "Pad-wrap", "Pad", (3, 4), (ints(0, 0, 2, 0, 0, 1),), {"mode": "wrap"}, since=19
    ),
    Case("CumSum", "CumSum", (3, 4), (np.array(2),), since=11),
    Case("CumSum-before", "CumSum", (3, 4), (np.array(2),), {"exclusive": 1}, since=11),
    Case(
        "CumSum-back",
        "CumSum",
        (3, 4),
        (np.array(1),),
        {"reverse": 1, "exclusive": 1},
        since=11,
    ),
]

_REDUCED = ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2")
_REDUCED += ("ReduceSumSquare", "ReduceLogSumExp")

REDUCTIONS = [
    *(
        Case(
            f"{op}-{axes}-{keep}",
            op,
            (3, 4),
            (),
            {"axes": axes, "keepdims": keep},
            until=17,
        )
        for op in _REDUCED
        for axes, keep in (([1], 1), ([2, 1], 0), ([-1], 0))
    ),
    *(
        Case(
            f"{op}-{axes}-{keep}",
            op,
            (3, 4),
            (ints(*axes),),
            {"keepdims": keep},
            since=18,
        )
        for op in _REDUCED
        for axes, keep in (([1], 1), ([2, 1], 0), ([-1], 0))
    ),
    Case("ReduceSum-old", "ReduceSum", (3, 4), (), {"axes": [1]}, until=11),
    Case("ReduceSum", "ReduceSum", (3, 4), (ints(1, 2),), {"keepdims": 0}, since=13),
    Case(
        "ReduceSum-noop", "ReduceSum", (3,), (), {"noop_with_empty_axes": 1}, since=13
    ),
    Case("ReduceLogSum", "ReduceLogSum", (3, 4), (ints(1),), since=18, positive=True),
]
