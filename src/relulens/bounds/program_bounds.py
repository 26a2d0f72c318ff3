"""Bounds of outputs by linear programs over the triangles of units, and by integers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from relulens.bounds.images import node_bounds
from relulens.bounds.layer_bounds import ROWS, LayerBounds
from relulens.bounds.program_rows import program
from relulens.bounds.rounding import gamma
from relulens.bounds.state_form import (
    Array,
    StateBox,
    StateForm,
    folding_slack,
    state_form,
)
from relulens.graph.blocks import blocks
from relulens.graph.coupled_bounds import Bounds
from relulens.graph.polyhedral import polyhedral
from relulens.numerics.bounded_programs import Minimum, Solver


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds may take.

    Attributes:
        rows: Most entries of one layer that a relaxation refines.
        bytes: Bytes of each sparse matrix of a program.
        seconds: Time for each program; one is solved for each side of each row.
    """

    rows: int = ROWS
    bytes: int = 512 << 20
    seconds: float = 60.0


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ProgramBounds:
    """Bounds of the outputs by programs.

    Attributes:
        lower: [N, *output_shape], at least those of the relaxation.
        upper: Likewise, at most.
        rigorous: Whether they rest on multipliers alone, evaluated with rounding, and
            on no branching of the solver.
        undecided: Programs that ran into the time limit, or that the solver took for
            infeasible, which they are not.
        lowest: For every lower bound the input that the program found [N, q, p]; NaN
            where there is none.
        highest: Likewise for every upper bound.
    """

    lower: Tensor
    upper: Tensor
    rigorous: bool
    undecided: int
    lowest: Tensor
    highest: Tensor


def program_bounds(
    found: LayerBounds, *, exact: bool, limits: Limits = DEFAULT_LIMITS
) -> ProgramBounds:
    """Return bounds by one program for each side of every output.

    Args:
        found: Bounds of all layers, by relaxation.
        exact: Whether whole numbers tie every unit to a piece.
        limits: What the programs may take.

    Raises:
        NotPolyhedralError: A node is smooth or coupled.
        MemoryLimitError: A matrix takes more bytes than the limit.
        SolverError: HiGHS failed.

    Cost:
        2 q programs for each of the N boxes.
    """
    network = found.network
    polyhedral(network, network.output, question="bounds by linear programs")
    form = state_form(network, limit=limits.bytes)
    boxes = _boxes(found)
    solved = solve_boxes(form, boxes, found.output, exact=exact, limits=limits)
    return replace(solved, rigorous=found.rigorous and solved.rigorous)


def solve_boxes(
    form: StateForm,
    boxes: Sequence[StateBox],
    known: Bounds,
    *,
    exact: bool,
    limits: Limits,
) -> ProgramBounds:
    """Return bounds by programs of a state form, loops allowed, on boxes.

    Args:
        form: The matrices and operations.
        boxes: Bounds of the input, the state and the arguments, one a box.
        known: Bounds [N, *shape of the output] that the result lies within.
        exact: Whether whole numbers tie every unit to a piece.
        limits: What the programs may take.
    """
    answers = [_answers(form, box, exact, limits) for box in boxes]
    lower, upper = (bound.flatten(1).clone() for bound in known)
    nothing = torch.full((*lower.shape, form.B.shape[1]), torch.nan).double()
    points = (nothing, nothing.clone())
    undecided, whole = 0, False
    for i, (pairs, branched) in enumerate(answers):
        whole |= branched
        for j, (least, most) in enumerate(pairs):
            lower[i, j] = max(float(lower[i, j]), least.bound)
            upper[i, j] = min(float(upper[i, j]), -most.bound)
            undecided += sum(one.status != "optimal" for one in (least, most))
            for side, one in zip(points, (least, most), strict=True):
                if one.point is not None:
                    side[i, j] = torch.from_numpy(one.point[: form.B.shape[1]])
    shape = known[0].shape
    return ProgramBounds(
        lower=torch.minimum(lower, upper).reshape(shape),
        upper=torch.maximum(lower, upper).reshape(shape),
        rigorous=not whole,
        undecided=undecided,
        lowest=points[0].to(lower.device),
        highest=points[1].to(lower.device),
    )


def _boxes(found: LayerBounds) -> list[StateBox]:
    """Return the bounds of the input, the state and the arguments of every box."""
    network = found.network
    form = blocks(network)
    values: dict[int, Bounds] = {0: found.box}
    arguments = {i: (found.lower[i], found.upper[i]) for i in found.lower}
    for index in form.states:
        known = found.relaxation.known
        image = node_bounds(network, index, known, arguments, found.box)[0]
        if index in found.lower:
            image = (
                torch.maximum(image[0], found.lower[index]),
                torch.minimum(image[1], found.upper[index]),
            )
        values[index] = image
    with torch.no_grad():
        slack = folding_slack(network, found.relaxation.known, values)
    read = [item.source for item in form.arguments]
    zero = found.box[0].new_zeros
    rooms = [
        slack.get(i, zero((len(found.empty), *network.nodes[i].shape))) for i in read
    ]
    end = slack.get(network.output)
    if end is None:
        end = zero((len(found.empty), *network.output_shape))
    return [
        StateBox(
            u=_side(found.box, i),
            x=_joined([values[index] for index in form.states], i),
            z=_joined([arguments[index] for index in read], i),
            argument_slack=_flat(rooms, i),
            output_slack=end[i].reshape(-1).numpy(force=True),
        )
        for i in range(len(found.empty))
    ]


def _flat(parts: list[Tensor], i: int) -> Array:
    if not parts:
        return np.zeros(0)
    return np.concatenate([part[i].reshape(-1).numpy(force=True) for part in parts])


def _side(bounds: Bounds, i: int) -> tuple[Array, Array]:
    return _flat([bounds[0]], i), _flat([bounds[1]], i)


def _joined(parts: list[Bounds], i: int) -> tuple[Array, Array]:
    return _flat([low for low, _ in parts], i), _flat([high for _, high in parts], i)


def _answers(
    form: StateForm, box: StateBox, exact: bool, limits: Limits
) -> tuple[list[tuple[Minimum, Minimum]], bool]:
    """Return the least value of every row and of its negative, constants included."""
    made = program(form, box, exact=exact)
    solver = Solver(made, limits.seconds)
    spare = made.low.size - form.D.shape[1] - form.C.shape[1]
    pairs: list[tuple[Minimum, Minimum]] = []
    for j in range(form.C.shape[0]):
        cost = np.concatenate([_row(form.D, j), _row(form.C, j), np.zeros(spare)])
        share = gamma(4) * abs(form.d[j]) + box.output_slack[j]
        pairs.append((
            _shifted(solver.minimum(cost), form.d[j], share),
            _shifted(solver.minimum(-cost), -form.d[j], share),
        ))
    return pairs, bool(made.whole.any())


def _row(matrix: csr_array, j: int) -> Array:
    return matrix[[j]].toarray()[0]


def _shifted(found: Minimum, constant: float, room: float) -> Minimum:
    bound = found.bound + constant
    bound -= room + gamma(4) * abs(found.bound)
    return Minimum(status=found.status, bound=bound, point=found.point)
