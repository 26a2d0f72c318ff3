"""The source's sparse bounded attack by linear programs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relulens.errors import InvalidArgumentError, ShapeError, SolverError
from relulens.graph.arrays import tensor_of
from relulens.graph.blocks import blocks
from relulens.graph.domain import Box
from relulens.graph.network import Network
from relulens.graph.polyhedral import polyhedral
from relulens.robustness.attacks.attack import Attack, checked, logits, margins, pending
from relulens.robustness.attacks.program import AttackProgram, Faces
from relulens.robustness.attacks.question import AttackQuestion, attack_question
from relulens.robustness.attacks.ranges import Ranges

RIVALS = 3
"""Classes that an attack without a target is led to, the nearest ones."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LinearProgramAttack:
    """Changed inputs and how loose the linear programs were.

    Attributes:
        attack: The inputs, each one checked.
        rival: Class that the best program led to.
        bound: Largest value that the relaxation gives the logit of the class led to
            minus that of the label; the largest of the programs of each input, NaN
            where none was solved.
        reached: That difference of logits at the input that this program found, before
            it was rounded to k entries.
        rounded: The same at the best input with k entries.
        faces: ``"triangle"`` or ``"source"``.
    """

    attack: Attack
    rival: Int[Tensor, " batch"]
    bound: Float[Tensor, " batch"]
    reached: Float[Tensor, " batch"]
    rounded: Float[Tensor, " batch"]
    faces: Faces

    @property
    def inputs(self) -> Float[Tensor, "batch ..."]:
        """Changed inputs."""
        return self.attack.inputs

    @property
    def success(self) -> Bool[Tensor, " batch"]:
        """Whether each input is misclassified and keeps within all bounds."""
        return self.attack.success

    @property
    def changed(self) -> Int[Tensor, " batch"]:
        """Number of entries that differ."""
        return self.attack.changed

    @property
    def verdict(self) -> tuple[str, ...]:
        """A word an input, as in ``Attack``."""
        return self.attack.verdict

    @property
    def looseness(self) -> Float[Tensor, " batch"]:
        """How much more the relaxation promises than its own input reaches."""
        return self.bound - self.reached

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.attack)

    def __repr__(self) -> str:
        """Return the counts on one line."""
        found = int(self.success.sum())
        return f"LinearProgramAttack({self.faces}, {found} of {len(self)} found)"


def linear_program_attack(
    network: Network,
    x: object,
    /,
    *,
    k: int,
    radius: object,
    labels: object | None = None,
    targets: object | None = None,
    domain: Box | None = None,
    faces: Faces = "triangle",
    progress: Callable[[int, int], None] | None = None,
) -> LinearProgramAttack:
    r"""Return inputs with at most k entries changed by at most a radius, by programs.

    For the label c and a class t to lead to, the source maximises
    :math:`(C_t - C_c)x + (D_t - D_c)u` over the convex set :math:`x \ge Ax + Bu`,
    :math:`x \ge 0`, :math:`|x - x_0| \le \sigma_x`, :math:`|u - u_0| \le \sigma_u`,
    :math:`\|(u - u_0)/\sigma_u\|_1 \le k` :cite:p:`elghaoui2020implicit`. There nothing
    but the box holds x from above, so the program says little; ``faces="triangle"``
    adds the face above of every unit's triangle, and bounds of the arguments that hold
    when k entries change. The k largest changes of the solution are kept, as they are
    and at full size, and evaluated.

    Args:
        network: A classifier made of piecewise-affine operations.
        x: Inputs [N, *input_shape], inside the domain.
        k: Most entries that may change.
        radius: Largest change of an entry, a number or an array of the input's shape.
        labels: True classes [N]; the network's own predictions by default.
        targets: Classes [N] to reach, or one for all; by default the three nearest
            classes are tried.
        domain: Allowed values; ``network.domain`` by default.
        faces: ``"triangle"``, or ``"source"`` for the source's own form.
        progress: Called with the inputs done and their number.

    Returns:
        The attack, checked as ``sparse_attack`` checks its own, and for each input what
        the relaxation promised and what was reached.

    Raises:
        ShapeError: ``x`` or ``radius`` has another shape than the input.
        NotFiniteError: ``x`` holds NaN or infinite numbers.
        InvalidArgumentError: k, radius, domain, labels or targets do not fit.
        NotPolyhedralError: A node is not piecewise affine.
        SolverError: A program has no solution, or the solver found none.

    Cost:
        A linear program in all states and inputs for each class that is tried.
    """
    question = attack_question(
        network,
        x,
        labels=labels,
        targets=targets,
        k=k,
        domain=domain,
        pixels=False,
        seed=0,
    )
    if faces not in {"triangle", "source"}:
        raise InvalidArgumentError(
            f"cannot attack with faces={faces!r}: the forms are 'triangle' and"
            " 'source'. Choose one of them."
        )
    wide = question.network
    polyhedral(wide, wide.output, question="an attack by linear programs")
    sigma = _radius(wide, radius)
    form = blocks(wide)
    letters = ("A", "B", "C", "D")
    matrices = {letter: form.to_sparse(letter) for letter in letters}
    rows = len(question.x)
    best = question.x.clone()
    rival = torch.full((rows,), -1, dtype=torch.int64, device=wide.device)
    table = torch.full((rows, 3), torch.nan, dtype=torch.float64, device=wide.device)
    open_ = pending(question)
    for index in range(rows):
        if bool(open_[index]):
            ranges = _ranges(question, index, k, sigma)
            program = AttackProgram(form, matrices, ranges, faces)
            one = _solved(question, index, ranges, program)
            best[index], rival[index] = one.point, one.rival
            table[index] = torch.tensor([one.bound, one.reached, one.rounded])
        if progress is not None:
            progress(index + 1, rows)
    method = "linear program" if faces == "triangle" else "linear program, source"
    return LinearProgramAttack(
        attack=checked(question, best, excluded=open_.to(torch.int64), method=method),
        rival=rival,
        bound=table[:, 0],
        reached=table[:, 1],
        rounded=table[:, 2],
        faces=faces,
    )


def _radius(network: Network, radius: object) -> Tensor:
    """Return the largest change of every entry, flattened."""
    value = tensor_of(radius, subject="radius").to(network.device, torch.float64)
    if value.ndim and tuple(value.shape) != network.input_shape:
        raise ShapeError(
            "radius", tuple(value.shape), network.input_shape, "Use one number."
        )
    if not bool((torch.isfinite(value) & (value > 0)).all()):
        raise InvalidArgumentError(
            f"cannot attack within a radius from {value.min():g} to {value.max():g}:"
            " finite numbers above 0 are needed. Narrow the domain to fix entries."
        )
    return value.expand(network.input_shape).reshape(-1).clone()


def _ranges(question: AttackQuestion, index: int, k: int, sigma: Tensor) -> Ranges:
    x = question.x[index]
    return Ranges(
        x=x,
        low=torch.maximum(x - sigma, question.low[index]),
        high=torch.minimum(x + sigma, question.high[index]),
        sigma=sigma,
        k=k,
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Solved:
    point: Tensor
    rival: int
    bound: float
    reached: float
    rounded: float


def _solved(
    question: AttackQuestion, index: int, ranges: Ranges, program: AttackProgram
) -> _Solved:
    """Solve a program for each class to lead to, and return the best input."""
    outputs = logits(question.network, ranges.x[None])[0]
    label, target = int(question.labels[index]), question.target(index)
    order = [int(c) for c in outputs.argsort(descending=True) if int(c) != label]
    found: list[tuple[float, _Solved]] = []
    for rival in order[:RIVALS] if target is None else [target]:
        weights = np.zeros(len(outputs))
        weights[rival], weights[label] = 1.0, -1.0
        status, bound, point = program.highest(weights)
        if status != "optimal":
            raise SolverError(
                f"cannot attack input {index}: the linear program towards class"
                f" {rival} is {status}, though the input itself satisfies it. Scale the"
                " inputs, or take a larger radius."
            )
        trials = _with_k_entries(ranges, point)
        values = logits(question.network, torch.cat([point[None], trials]))
        gain = values[:, rival] - values[:, label]
        margin = _margins(question, index, values[1:])
        place = int(margin.argmin())
        one = _Solved(
            point=trials[place],
            rival=rival,
            bound=bound,
            reached=float(gain[0]),
            rounded=float(gain[1:].max()),
        )
        found.append((float(margin[place]), one))
        if margin[place] < 0:
            break
    return min(found, key=lambda pair: pair[0])[1]


def _margins(question: AttackQuestion, index: int, values: Tensor) -> Tensor:
    rows = len(values)
    labels = question.labels[index].expand(rows)
    targets = question.targets
    return margins(
        values, labels, None if targets is None else targets[index].expand(rows)
    )


def _with_k_entries(ranges: Ranges, point: Tensor) -> Float[Tensor, "trials inputs"]:
    """Return the k largest changes as they are and at full size, float32 values."""
    change = point - ranges.x
    kept = (change.abs() / ranges.sigma).topk(min(ranges.k, len(change))).indices
    kept = kept[change[kept] != 0]
    as_is, full = ranges.x.clone(), ranges.x.clone()
    value = (ranges.x + change)[kept].to(torch.float32).to(torch.float64)
    as_is[kept] = value.clamp(ranges.low[kept], ranges.high[kept])
    ends = torch.where(change > 0, ranges.high, ranges.low)
    full[kept] = ends[kept]
    return torch.stack([as_is, full])
