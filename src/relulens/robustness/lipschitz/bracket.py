"""Lipschitz brackets: a point that is steep, and a bound that none is steeper."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import InvalidArgumentError, NotFiniteError
from relulens.graph.convert import converted
from relulens.graph.domain import Box, as_box
from relulens.graph.network import Network
from relulens.graph.polyhedral import polyhedral
from relulens.robustness.lipschitz.climb import Steepest
from relulens.robustness.lipschitz.operator_norms import (
    Norm,
    checked_norm,
)
from relulens.robustness.lipschitz.problem import Problem, absolute_maps
from relulens.robustness.lipschitz.search import Search


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LipschitzBounds:
    """A bracket of the largest operator norm of the slope over a box.

    Attributes:
        lower: Norm of the slope at ``witness``; the constant is at least this.
        upper: No region of the box has a larger one, rounding included.
        witness: An input of the box [*input_shape], inside its region, or nothing if
            no slope was found that is not zero.
        norm: The norm of the input, and of the output: 1, 2 or ``"inf"``.
        gap: ``upper / lower``; 1 if both are zero.
        complete: Whether the gap asked for was reached.
        method: How the upper bound was found.
        interval: The upper bound from interval slopes over the whole box.
        relaxation: The upper bound over the whole box before it was divided.
        boxes: Parts of the box that were bounded.
        programs: Patterns that were looked for by a linear program.
        thin: Patterns with a steeper slope that were left out, because no ball with
            1e-9 of the box's half sides fits into their regions.
        reason: Why the bracket is not complete; empty if it is.
    """

    lower: float
    upper: float
    witness: Float[Tensor, " *input"] | None
    norm: Norm
    gap: float
    complete: bool
    method: str
    interval: float
    relaxation: float
    boxes: int
    programs: int
    thin: int
    reason: str

    def __repr__(self) -> str:
        """Return the bracket on one line."""
        return (
            f"LipschitzBounds([{self.lower:.6g}, {self.upper:.6g}], norm={self.norm!r},"
            f" gap {self.gap:.4g}, by {self.method})"
        )


def lipschitz_bounds(
    network: Network,
    box: Box | None = None,
    /,
    norm: Norm | float = 2,
    *,
    gap: float = 1.05,
    budget: float = 60.0,
    outputs: object = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> LipschitzBounds:
    r"""Return bounds of the Lipschitz constant of a network over a box.

    .. math:: \max_x \max_v \|J(x) v\|_p / \|v\|_p

    over the regions of full dimension that meet the inside of the box, with J(x) the
    slope there. One norm p measures the input and the output. For a single output it is
    the dual norm of the gradient: with ``norm="inf"`` the sum of the absolute partial
    derivatives, with ``norm=1`` the largest of them.

    Args:
        network: A piecewise-affine network.
        box: The inputs; the network's domain by default. Entries whose two bounds are
            equal are held fixed.
        norm: 1, 2 or ``"inf"``: of the input, and of the output.
        gap: Ratio of upper to lower bound that is good enough, at least 1.
        budget: Seconds.
        outputs: Flat positions of the outputs that count; all by default.
        seed: Of sampled points.
        progress: Called with the number of parts done, and of all known so far.

    Returns:
        A lower bound with a witness, and an upper bound with its method. A sampled
        slope is never more than a lower bound.

    Raises:
        NotPolyhedralError: A node is not piecewise affine; all are named.
        InvalidArgumentError: The norm, the gap or the budget is none, the box is a
            point, or there is no box.
        NotFiniteError: A side of the box is infinite.

    Cost:
        A few passes through the network for the first bracket. With up to 6 free
        entries boxes are bisected, beyond that the signs of units are split.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[1.0], [-1.0]], None), ([[1.0, -1.0]], None)])
        >>> found = lipschitz_bounds(network, Box(-1, 1), norm=2)
        >>> found.lower, round(found.upper, 9)
        (1.0, 1.0)
    """
    start = time.monotonic()
    problem = _problem(network, box, checked_norm(norm), outputs)
    _check_limits(gap, budget)
    source = torch.Generator().manual_seed(seed)
    search = Search(
        problem=problem,
        gap=gap,
        deadline=start + budget,
        steepest=Steepest(problem=problem),
        source=source,
    )
    with torch.no_grad():
        search.run(progress)
    return _result(search, budget)


def _check_limits(gap: float, budget: float) -> None:
    if not gap >= 1.0:
        raise InvalidArgumentError(
            f"cannot close a bracket to a ratio of {gap}: upper and lower bound are at"
            " least 1 apart. Pass gap=1.05, or 1 for an exact one."
        )
    if not budget >= 0.0:
        raise InvalidArgumentError(
            f"cannot use a budget of {budget} s: it must be at least 0. Pass seconds."
        )


def _problem(network: Network, box: Box | None, norm: Norm, outputs: object) -> Problem:
    region = polyhedral(network, network.output, question="lipschitz_bounds")
    wide = converted(network, torch.float64)
    view = polyhedral(wide, region.end)
    low, high = checked_sides(wide, box)
    free = (high > low).flatten()
    if not bool(free.any()):
        raise InvalidArgumentError(
            f"cannot bound slopes over a box: all {free.numel()} entries have equal"
            " bounds, so it is a point. Use local_lipschitz there."
        )
    eye = torch.eye(wide.output_size, dtype=torch.float64, device=wide.device)
    return Problem(
        network=wide,
        region=view,
        low=low,
        high=high,
        free=free,
        rows=eye[_chosen(outputs, wide)],
        norm=norm,
        known=absolute_maps(view),
    )


def checked_sides(network: Network, box: Box | None) -> tuple[Tensor, Tensor]:
    """Return the bounds of a box in the network's input shape.

    Raises:
        InvalidArgumentError: There is no box, or it has another shape.
        NotFiniteError: A side is infinite.
    """
    domain = network.domain if box is None else box
    if domain is None:
        raise InvalidArgumentError(
            "cannot bound slopes over the network's domain: it has none, and no box was"
            " given. Pass box=Box(low, high)."
        )
    domain = as_box(domain, subject="the box")
    shape = network.input_shape
    try:
        low = domain.low.to(network.device).expand(shape).clone()
        high = domain.high.to(network.device).expand(shape).clone()
    except RuntimeError as error:
        raise InvalidArgumentError(
            f"cannot use the box: its bounds have shapes {list(domain.low.shape)} and"
            f" {list(domain.high.shape)}, and the input has {list(shape)}. Pass numbers"
            " or arrays of that shape."
        ) from error
    infinite = int((~torch.isfinite(low) | ~torch.isfinite(high)).sum())
    if infinite:
        raise NotFiniteError(
            f"cannot bound slopes over the box: {infinite} of its {low.numel()} entries"
            " have an infinite side. Give finite bounds, such as the data's range."
        )
    return low, high


def _chosen(outputs: object, network: Network) -> Tensor:
    size = network.output_size
    if outputs is None:
        return torch.arange(size)
    chosen = torch.as_tensor(outputs).reshape(-1)
    whole = not chosen.is_floating_point() and not chosen.is_complex()
    whole = whole and chosen.dtype != torch.bool
    if (
        not whole
        or not chosen.numel()
        or bool((chosen < 0).any() | (chosen >= size).any())
    ):
        raise InvalidArgumentError(
            f"cannot choose outputs {chosen.tolist()}: flat positions from 0 to"
            f" {size - 1} are needed, at least one. Leave it out for all."
        )
    return chosen.to(torch.int64)


def _result(search: Search, budget: float) -> LipschitzBounds:
    problem = search.problem
    lower = search.steepest.value
    first, interval = search.first, search.interval
    # Slopes of single patterns are computed plainly: what rounding can do is added.
    upper = max(search.upper, lower) + search.rounding
    if upper >= first:
        upper = max(first, lower)
    ratio = 1.0 if upper <= search.rounding else math.inf
    if lower > 0:
        ratio = upper / lower
    complete = ratio <= max(search.gap, 1.0 + 1e-9)
    return LipschitzBounds(
        lower=lower,
        upper=upper,
        witness=search.steepest.point,
        norm=problem.norm,
        gap=ratio,
        complete=complete,
        method=_method(search, upper, first, interval),
        interval=interval,
        relaxation=first,
        boxes=search.boxes,
        programs=search.programs,
        thin=search.thin,
        reason="" if complete else _reason(search, budget),
    )


def _method(search: Search, upper: float, first: float, interval: float) -> str:
    if search.regions:
        return f"all {search.regions} regions"
    if upper < first:
        what = "signs" if search.open.splits else "boxes"
        return f"branch and bound over {search.boxes} {what}"
    return "linear relaxation" if first < interval else "interval slopes"


def _reason(search: Search, budget: float) -> str:
    if search.open.upper.numel():
        return f"the budget of {budget:g} s was used up"
    return "what is left cannot be divided further"
