"""Values between the ends of the domain: linear programs from region to region.

A few entries are free, the others fixed. Inside a region the margin is affine, so its
least value over the region and the domain is a linear program with as many unknowns as
entries; where it is reached on the border, the next region is entered there.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from relulens.graph.freeze import freeze
from relulens.graph.network import Network
from relulens.graph.nodes import Coupled, Smooth
from relulens.graph.tangent import tangent
from relulens.local.polytope import region_polytope
from relulens.numerics.linear_programs import Inequalities
from relulens.robustness.attacks.attack import logits, margins
from relulens.robustness.attacks.question import AttackQuestion

STEPS = 4
"""Regions that are walked through."""
OVER = 1e-6
"""Part of a step that is added to it, to cross into the next region."""
SMALL = 1e-9
"""Steps and gains below this, in units of the input and of a logit, end the walk."""


def piecewise_affine(network: Network) -> bool:
    """Tell whether regions with affine maps exist: no node is curved."""
    needed = network.ancestors(network.output)
    return not any(
        isinstance(node, Smooth | Coupled)
        for index, node in network.nonlinear()
        if index in needed
    )


def walked_values(
    question: AttackQuestion,
    index: int,
    start: Float[Tensor, " inputs"],
    places: Int[Tensor, " free"],
) -> Float[Tensor, " inputs"] | None:
    """Return an attack that differs from one input in some entries only, if met.

    Args:
        question: What was asked.
        index: Which input.
        start: Where the walk begins; differs from the input in ``places`` only.
        places: Flat entries that are free.

    Returns:
        An input with values that float32 holds too, or nothing.

    Cost:
        For each region a forward pass, one of directions, and a linear program.
    """
    here = start.clone()
    if _attacks(question, index, here):
        return here
    for _ in range(STEPS):
        step, gain = _best_step(question, index, here, places)
        reached = _moved(question, index, here, places, step)
        if _attacks(question, index, reached):
            return reached
        if gain < SMALL or float(step.abs().max()) < SMALL:
            return None
        here = _moved(question, index, here, places, step * (1.0 + OVER))
        if _attacks(question, index, here):
            return here
    return None


def _best_step(
    question: AttackQuestion, index: int, here: Tensor, places: Tensor
) -> tuple[Tensor, float]:
    """Return the step that lowers the margin most in the region, and by how much."""
    network = question.network
    point = here.reshape(1, *network.input_shape)
    unit = here.new_zeros((len(places), here.shape[0]))
    unit[torch.arange(len(places)), places] = 1.0
    unit = unit.reshape(-1, *network.input_shape)
    frozen = freeze(network, point, network.output)
    outputs = frozen.values[network.output][0]
    near, far = _led(question, index, outputs)
    slopes = tangent(frozen, unit)
    cost = slopes[:, far] - slopes[:, near]
    region = region_polytope(network, point)[0]
    low = question.low[index][places] - here[places]
    high = question.high[index][places] - here[places]
    rows = region.A.apply(unit).T
    slack = region.slack(point)[0].clamp(min=0.0)
    most = rows.clamp(min=0) @ high + rows.clamp(max=0) @ low
    kept = most > slack
    eye = torch.eye(len(places), dtype=rows.dtype, device=rows.device)
    program = Inequalities(
        torch.cat([rows[kept], eye, -eye]).cpu().numpy(),
        torch.cat([slack[kept], high, -low]).cpu().numpy(),
    )
    best = program.maximise(cost.cpu().numpy())
    if best.status != "optimal":
        return torch.zeros_like(low), 0.0
    return torch.from_numpy(best.point).to(low), best.value


def _led(question: AttackQuestion, index: int, outputs: Tensor) -> tuple[int, int]:
    """Return the class to lower and the class to raise."""
    target = question.target(index)
    kept = int(question.labels[index]) if target is None else target
    others = outputs.clone()
    others[kept] = -torch.inf
    best = int(others.argmax())
    return (kept, best) if target is None else (best, kept)


def _moved(
    question: AttackQuestion, index: int, here: Tensor, places: Tensor, step: Tensor
) -> Tensor:
    """Return a point after a step, rounded to float32 and kept inside the domain."""
    value = (here[places] + step).to(torch.float32).to(torch.float64)
    low, high = question.low[index][places], question.high[index][places]
    moved = here.clone()
    moved[places] = torch.minimum(torch.maximum(value, low), high)
    return moved


def _attacks(question: AttackQuestion, index: int, point: Tensor) -> bool:
    labels = question.labels[index : index + 1]
    targets = None if question.targets is None else question.targets[index : index + 1]
    return all(
        bool((margins(logits(network, point[None]), labels, targets) < 0).all())
        for network in (question.network, question.single)
    )
