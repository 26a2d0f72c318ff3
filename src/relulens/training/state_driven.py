"""An implicit model from a teacher's states: least squares row by row, no gradients."""

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.blocks import blocks
from relulens.graph.freeze import node_values
from relulens.graph.linear_map import BYTE_LIMIT, check_bytes
from relulens.graph.network import Network
from relulens.implicit.activation import Activation
from relulens.implicit.conversion import implicit_model
from relulens.implicit.equilibrium import equilibrium
from relulens.implicit.model import ImplicitModel
from relulens.training.implicit_layer import check_kappa, elementwise_gain
from relulens.training.penalties import Penalty
from relulens.training.row_fit import RowFit, fit_rows


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TeacherStates:
    """What a network computes on a batch, as an implicit model stacks it.

    Attributes:
        x: Inputs [N, p].
        states: Values of the nonlinear operations [N, n].
        arguments: What they read [N, n].
        outputs: Outputs [N, q].
        phi: The operations, all elementwise.
        vector: v > 0 [n] for which the teacher contracts by any kappa asked for.
    """

    x: Float64[Tensor, "batch p"]
    states: Float64[Tensor, "batch n"]
    arguments: Float64[Tensor, "batch n"]
    outputs: Float64[Tensor, "batch q"]
    phi: Activation
    vector: Float64[Tensor, " n"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StateDriven:
    """An implicit model fitted to a teacher's states.

    Attributes:
        model: The model.
        vector: The vector v > 0 of its certificate, in the model's coordinates.
        contraction: The kappa for which ``Γ |A| v <= kappa v``.
        hidden: The rows of A and B with objectives and duality gaps.
        readout: The rows of C and D, likewise; nothing after a refit.
        zeros: Share of the entries of A and B that are zero.
    """

    model: ImplicitModel
    vector: Float64[Tensor, " n"]
    contraction: float
    hidden: RowFit
    readout: RowFit | None
    zeros: float


def teacher_states(
    network: Network, x: object, /, *, kappa: float = 0.95
) -> TeacherStates:
    r"""Return a network's states on a batch, and the scales that make it contract.

    The scales are :math:`v = (I - \Gamma|A|/\kappa)^{-1} 1`, found by substitution as A
    has no loops, so that :math:`\Gamma|A|v \le \kappa v`.

    Args:
        network: The teacher; every nonlinear operation elementwise.
        x: Inputs [N, *input_shape].
        kappa: The factor of contraction, in (0, 1).

    Raises:
        InvalidArgumentError: The network has a maximum or coupled operation, or kappa
            is outside (0, 1).
        ShapeError: ``x`` has another shape.
    """
    check_kappa(kappa)
    model = implicit_model(network)
    gain = elementwise_gain(model.phi)
    given = network.as_input(x)
    form = blocks(network)
    indices = list(form.states)
    read = [item.source for item in form.arguments]
    values = node_values(network, given, {*indices, *read, network.output})

    def stacked(wanted: list[int]) -> Tensor:
        none = given.new_zeros((len(given), 0))
        return torch.cat([none, *(values[i].flatten(1) for i in wanted)], 1).double()

    absolute = abs(model.A.to_sparse())
    v = torch.ones(model.n, dtype=torch.float64)
    for _ in range(len(indices)):
        carried = torch.from_numpy(absolute @ v.numpy())
        v = 1 + gain.cpu() * carried / kappa
    return TeacherStates(
        x=given.flatten(1).double(),
        states=stacked(indices),
        arguments=stacked(read),
        outputs=values[network.output].flatten(1).double(),
        phi=model.phi.to(torch.float64, given.device),
        vector=v,
    )


def state_driven(
    teacher: TeacherStates,
    penalty: Penalty,
    /,
    *,
    kappa: float = 0.95,
    rescale: bool = True,
    refit: float | None = 1e-6,
    tolerance: float = 1e-8,
) -> StateDriven:
    r"""Return the sparse implicit model that explains a teacher's states.

    Every row of A and B minimises :math:`\frac1{2N}\|Xa + Ub + c - z\|^2 + g(a, b)`
    inside its ball, on its own; nothing is said of which layer reads which, so loops
    may appear, and the ball keeps the model well-posed. C and D are fitted to the
    teacher's outputs, by default on the states that the *model* reaches.

    Args:
        teacher: The teacher's states, of ``teacher_states`` or of your own.
        penalty: ``L1``, ``BerHu`` or ``Groups`` over the columns of A and then B.
        kappa: The factor of contraction, in (0, 1).
        rescale: Whether states are divided by the teacher's vector, so that the model
            satisfies ``|A|`` row sums of at most kappa; positively homogeneous phi
            only. Else the balls are weighted by the vector.
        refit: Ridge of the least squares for C and D on the model's own states, per
            sample; nothing to fit C and D to the teacher's states with the penalty.
        tolerance: Relative duality gap of every row.

    Raises:
        InvalidArgumentError: kappa is outside (0, 1), or rescaling was asked for with
            phi that is not positively homogeneous.
        SolverError: A row did not reach its gap.

    Cost:
        See ``fit_rows``; one equilibrium a sample for the refit.
    """
    check_kappa(kappa)
    if rescale and not teacher.phi.homogeneous:
        kinds = ", ".join(sorted({block.kind for block in teacher.phi.blocks}))
        raise InvalidArgumentError(
            f"cannot rescale the states: phi is {kinds}, and phi(t z) = t phi(z) is"
            " needed for all t >= 0. Pass rescale=False for balls weighted by the"
            " teacher's vector."
        )
    n, p = teacher.states.shape[1], teacher.x.shape[1]
    scale = teacher.vector if rescale else torch.ones_like(teacher.vector)
    vector = torch.ones_like(scale) if rescale else teacher.vector
    states, arguments = teacher.states / scale, teacher.arguments / scale
    gain = elementwise_gain(teacher.phi).clamp(min=1e-300)
    hidden = fit_rows(
        torch.cat([states, teacher.x], 1),
        arguments,
        penalty,
        radius=kappa * vector / gain,
        weights=torch.cat([vector, vector.new_zeros(p)]),
        tolerance=tolerance,
    )
    A, B = hidden.rows[:, :n], hidden.rows[:, n:]
    readout = None
    if refit is None:
        readout = fit_rows(
            torch.cat([states, teacher.x], 1),
            teacher.outputs,
            penalty,
            tolerance=tolerance,
        )
        last = readout.rows, readout.offset
    else:
        none = A.new_zeros((0, n))
        bare = ImplicitModel(A, B, none, None, teacher.phi, hidden.offset)
        own = equilibrium(bare, teacher.x).state
        last = ridge(torch.cat([own, teacher.x], 1), teacher.outputs, refit)
    C, D = last[0][:, :n], last[0][:, n:]
    return StateDriven(
        model=ImplicitModel(A, B, C, D, teacher.phi, hidden.offset, last[1]),
        vector=vector,
        contraction=kappa,
        hidden=hidden,
        readout=readout,
        zeros=float((hidden.rows == 0).double().mean()),
    )


def refitted(
    model: ImplicitModel, x: object, outputs: Tensor, /, *, ridge_weight: float = 1e-6
) -> ImplicitModel:
    """Return the model with C, D and d fitted to outputs on its own states.

    Args:
        model: The model.
        x: Inputs [N, p].
        outputs: What is wanted there [N, q].
        ridge_weight: Weight of the squares of C and D, per sample; positive.
    """
    u = model.as_input(x).double()
    own = equilibrium(model, u).state
    rows, offset = ridge(torch.cat([own, u], 1), outputs.double(), ridge_weight)
    wide = model.to(torch.float64)
    return ImplicitModel(
        wide.A,
        wide.B,
        rows[:, : model.n],
        rows[:, model.n :],
        wide.phi,
        wide.a,
        offset,
        domain=model.domain,
        input_shape=model.input_shape,
    )


def ridge(
    data: Float64[Tensor, "samples columns"],
    target: Float64[Tensor, "samples rows"],
    weight: float,
) -> tuple[Float64[Tensor, "rows columns"], Float64[Tensor, " rows"]]:
    """Return coefficients and offsets of a least-squares fit with a small ridge.

    Args:
        data: What is read.
        target: What is wanted.
        weight: Weight of the squares of the coefficients, per sample; positive.

    Raises:
        InvalidArgumentError: ``weight`` is not positive.
    """
    if not weight > 0:
        raise InvalidArgumentError(
            f"cannot fit by least squares: the ridge is {weight}, and it must exceed 0,"
            " as states that are always 0 have no coefficient else. Use 1e-6."
        )
    columns = data.shape[1]
    check_bytes(
        f"the Gram matrix [{columns}, {columns}]",
        16 * columns * columns,
        BYTE_LIMIT,
        "Fit fewer states.",
    )
    middle, level = data.mean(0), target.mean(0)
    centred = data - middle
    gram = centred.T @ centred / len(data)
    gram.diagonal().add_(weight)
    rows = torch.linalg.solve(gram, centred.T @ (target - level) / len(data)).T
    return rows, level - rows @ middle
