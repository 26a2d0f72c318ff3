"""Bounds of the outputs of a model with loops around inputs."""

from scipy.sparse import csr_array
from torch import Tensor

from relulens.bounds.program_bounds import Limits, solve_boxes
from relulens.bounds.rounding import gamma
from relulens.bounds.state_form import Operation, StateBox, StateForm
from relulens.certificates.rounding import exact_dot
from relulens.errors import InvalidArgumentError, NotPolyhedralError, OffendingNode
from relulens.graph.coupled_bounds import Bounds
from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import AlongAxis, composed
from relulens.graph.maps.block_matrix import BlockMatrix
from relulens.graph.nodes import Coupled, Maximum, Smooth, TwoSlope
from relulens.implicit.model import ImplicitModel
from relulens.robustness.ball import Surroundings
from relulens.robustness.loop_boxes import LoopBoxes
from relulens.robustness.loop_sensitivity import loop_sensitivity


def check_loop_method(method: str) -> None:
    """Refuse the method that needs layers.

    Raises:
        InvalidArgumentError: It is ``"relaxation"`` or ``"optimised"``.
    """
    if method in {"relaxation", "optimised"}:
        raise InvalidArgumentError(
            f"cannot bound a model with loops by method {method!r}: it goes through"
            " layers, and loops have none. Use 'interval', 'triangle' or 'exact'."
        )


def with_model_rows(model: ImplicitModel, rows: Tensor) -> ImplicitModel:
    """Return the model with rows of its output as output; maps are kept apart."""
    turned = AlongAxis(rows, (model.q,), 0)

    def folded(matrix: BlockMatrix) -> BlockMatrix:
        maps: dict[tuple[int, int], LinearMap] = {
            (0, j): composed(part, turned) for (_, j), part in matrix.blocks.items()
        }
        return BlockMatrix(maps, (0, rows.shape[0]), matrix.column_offsets)

    return ImplicitModel(
        model.A,
        model.B,
        folded(model.C),
        folded(model.D),
        model.phi,
        model.a,
        [exact_dot(row, model.d.numpy()) for row in rows.numpy()],
        domain=model.domain,
        input_shape=model.input_shape,
    )


def loop_bounds(
    model: ImplicitModel, around: Surroundings, method: str, limits: Limits
) -> tuple[Tensor, Tensor, bool, int]:
    """Return bounds [N, q] of the outputs, whether rigorous, and undecided programs.

    Args:
        model: The model, float64 on the processor.
        around: Inputs [N, p] and what lies around them.
        method: Any but ``"relaxation"`` and ``"optimised"``.
        limits: What programs may take.

    Raises:
        UnboundedError: An operation has no finite gain.
        NotWellPosedError: The model is not certified to be well posed.
        NotPolyhedralError: A program is asked for, and an operation is curved.
    """
    boxes = LoopBoxes(model)
    u = (around.low.flatten(1), around.high.flatten(1))
    rigorous = not any(isinstance(b.node, Smooth | Coupled) for b in model.phi.blocks)
    if method in {"sensitivity", "local"}:
        point = (around.x.flatten(1),) * 2
        least, most = boxes.output(boxes.state(point), point)
        change = around.change.flatten(1)
        if method == "sensitivity":
            S = loop_sensitivity(model).matrix
            reach = (change @ S.T) * (1 + gamma(model.p))
        else:
            reach = boxes.reach(boxes.state(u), u, change)
        return least - reach, most + reach, rigorous, 0
    state = boxes.state(u)
    lower, upper = boxes.output(state, u)
    if method == "interval":
        return lower, upper, rigorous, 0
    _check_polyhedral(model)
    z = boxes.arguments(state, u)
    solved = solve_boxes(
        _state_form(model, limits.bytes),
        [_box(model, u, state, z, i) for i in range(len(lower))],
        (lower, upper),
        exact=method == "exact",
        limits=limits,
    )
    return solved.lower, solved.upper, solved.rigorous, solved.undecided


def _check_polyhedral(model: ImplicitModel) -> None:
    curved = [b for b in model.phi.blocks if not isinstance(b.node, TwoSlope | Maximum)]
    if curved:
        nodes = [
            OffendingNode(name=b.name, operation=b.kind, reason="curved")
            for b in curved
        ]
        raise NotPolyhedralError("bounds by linear programs", nodes)


def _state_form(model: ImplicitModel, limit: int) -> StateForm:
    def sparse(matrix: BlockMatrix) -> csr_array:
        return csr_array(matrix.to_sparse(limit=limit))

    operations = [
        Operation(
            node=block.node,
            state=(block.start, block.stop),
            argument=(block.arguments[0].start, block.arguments[0].stop),
        )
        for block in model.phi.blocks
        if isinstance(block.node, TwoSlope | Maximum)
    ]
    return StateForm(
        A=sparse(model.A),
        B=sparse(model.B),
        C=sparse(model.C),
        D=sparse(model.D),
        a=model.a.numpy(),
        d=model.d.numpy(),
        operations=tuple(operations),
    )


def _box(model: ImplicitModel, u: Bounds, state: Bounds, z: Bounds, i: int) -> StateBox:
    """Return one box; rows of the output may have been rounded when they were folded.

    The matrices are small enough for every entry to be a sum of at most n + p terms.
    """
    low, high = ([part[k][i].numpy() for part in (u, state, z)] for k in (0, 1))
    most = [abs(part[0][i]).maximum(abs(part[1][i])) for part in (u, state)]
    parts = model.C.absolute(limit=0).map.apply(most[1][None])[0]
    parts = parts + model.D.absolute(limit=0).map.apply(most[0][None])[0]
    share = gamma(model.n + model.p + model.q)
    room = share * (parts + model.d.abs())
    args = model.A.absolute(limit=0).map.apply(most[1][None])[0]
    args = args + model.B.absolute(limit=0).map.apply(most[0][None])[0]
    return StateBox(
        u=(low[0], high[0]),
        x=(low[1], high[1]),
        z=(low[2], high[2]),
        argument_slack=(share * (args + model.a.abs())).numpy(),
        output_slack=room.numpy(),
    )
