"""Whether a network is convex: certified by signs, refuted by a witness, or open."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, assert_never

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.convert import converted
from relulens.graph.domain import Box
from relulens.graph.evaluate import evaluate
from relulens.graph.network import Network
from relulens.graph.nodes import Affine, Input, Maximum, TwoSlope
from relulens.graph.polyhedral import Polyhedral, polyhedral
from relulens.regions.exact import ExactValues, whole_numbers
from relulens.regions.segment import regions_on_segment

Verdict = Literal["certified", "refuted", "undecided"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NotConvex:
    """Inputs where a network lies above its chord, checked in whole numbers.

    Attributes:
        x: One input.
        y: Another one.
        between: An input on the chord, ``(1 - weight) x + weight y`` to rounding; the
            chord is compared at the nearest exact point.
        weight: Its place.
        output: Flat position of the output.
        excess: How far the output there lies above the chord.
    """

    x: Float[Tensor, "..."]
    y: Float[Tensor, "..."]
    between: Float[Tensor, "..."]
    weight: float
    output: int
    excess: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Convexity:
    """Whether every output is a convex function of the input.

    Attributes:
        verdict: ``"certified"`` for all outputs, ``"refuted"`` for one, or
            ``"undecided"``.
        certified: Outputs, flat, that the signs of the weights show to be convex.
        witness: Where an output is not convex, if refuted.
        lines: Straight lines that were searched for a witness.
    """

    verdict: Verdict
    certified: Bool[Tensor, " outputs"]
    witness: NotConvex | None
    lines: int


def convexity(
    network: Network,
    /,
    *,
    domain: Box | None = None,
    lines: int = 32,
    seed: int = 0,
) -> Convexity:
    """Return whether a network is convex in its input.

    It is if weights that read convex features are nonnegative and what is applied to
    them is convex and nondecreasing :cite:p:`balestriero2018spline`; weights that read
    the input are free. That is sufficient and not necessary: ``relu(x) - relu(-x)`` is
    convex. Otherwise lines are searched for a kink that bends downwards.

    Args:
        network: A piecewise-affine network.
        domain: Where lines are drawn; the network's own domain, else normal numbers.
        lines: How many.
        seed: Of their ends.

    Raises:
        NotPolyhedralError: A node is not piecewise affine; all are named.
        InvalidArgumentError: The domain has infinite sides, or ``lines`` is negative.
        MemoryLimitError: A sparse matrix of an affine node is too large.

    Cost:
        The sparse matrices of all affine nodes, then ``regions_on_segment`` a line.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> first = ([[1.0], [-1.0]], None)
        >>> convexity(from_layers([first, ([[1.0, 1.0]], None)])).verdict
        'certified'
        >>> convexity(from_layers([first, ([[1.0, -1.0]], None)])).verdict
        'undecided'
    """
    if lines < 0:
        raise InvalidArgumentError(
            f"cannot search for a witness: lines is {lines}, and 0 is the least. Pass"
            " a number of lines."
        )
    polyhedral(network, network.output, question="convexity")
    exact = converted(network, torch.float64, torch.device("cpu"))
    region = polyhedral(exact, network.output)
    bends = _shapes(region)[network.output]
    certified = torch.from_numpy(bends[0])
    open_ = np.nonzero(~bends[0])[0]
    if not len(open_):
        return _result("certified", certified, None, 0, network)
    box = network.domain if domain is None else domain
    if box is not None and not bool(torch.isfinite(box.high - box.low).all()):
        raise InvalidArgumentError(
            "cannot draw lines: the domain has infinite sides, and finite ones are"
            " needed. Pass domain=Box(low, high)."
        )
    generator = torch.Generator().manual_seed(seed)
    for count in range(lines):
        ends = _ends(exact, box, generator)
        witness = _witness(exact, region, ends, open_)
        if witness is not None:
            return _result("refuted", certified, witness, count + 1, network)
    return _result("undecided", certified, None, lines, network)


def _result(
    verdict: Verdict,
    certified: Tensor,
    witness: NotConvex | None,
    lines: int,
    network: Network,
) -> Convexity:
    return Convexity(
        verdict=verdict,
        certified=certified.to(network.device),
        witness=witness,
        lines=lines,
    )


def _shapes(
    region: Polyhedral,
) -> dict[int, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Return which entries of every node are surely convex, and surely concave."""
    found: dict[int, tuple[NDArray[np.bool_], NDArray[np.bool_]]] = {}
    for index, node in region.nodes.items():
        match node:
            case Input():
                free = np.ones(torch.Size(node.shape).numel(), bool)
                found[index] = (free, free)
            case Affine():
                found[index] = _affine_shape(node, found)
            case TwoSlope():
                found[index] = _two_slope_shape(node, *found[node.source])
            case Maximum():
                found[index] = _maximum_shape(node, *found[node.source])
            case _:
                assert_never(node)
    return found


def _affine_shape(
    node: Affine, found: Mapping[int, tuple[NDArray[np.bool_], NDArray[np.bool_]]]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    size = torch.Size(node.shape).numel()
    convex, concave = np.ones(size, bool), np.ones(size, bool)
    for term in node.terms:
        up, down = found[term.source]
        matrix = term.map.to_sparse()
        positive, negative = matrix > 0, matrix < 0
        convex &= ~((positive @ ~up) | (negative @ ~down))
        concave &= ~((positive @ ~down) | (negative @ ~up))
    return convex, concave


def _two_slope_shape(
    node: TwoSlope, convex: NDArray[np.bool_], concave: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    low = node.negative.expand(node.shape).reshape(-1).numpy()
    high = node.positive.expand(node.shape).reshape(-1).numpy()
    affine = convex & concave
    rises, falls = (low >= 0) & (high >= 0), (low <= 0) & (high <= 0)
    kept = affine | (convex & rises) | (concave & falls)
    turned = affine | (concave & rises) | (convex & falls)
    return kept & (high >= low), turned & (high <= low)


def _maximum_shape(
    node: Maximum, convex: NDArray[np.bool_], concave: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    table, real = (part.numpy() for part in node.groups.ragged.padded())
    alone = real.sum(axis=1) == 1
    every: NDArray[np.bool_] = np.all(convex[table] | ~real, axis=1)
    return every, alone & concave[table[:, 0]]


def _ends(
    network: Network, box: Box | None, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    shape = (2, *network.input_shape)
    if box is None:
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
    else:
        share = torch.rand(shape, generator=generator, dtype=torch.float64)
        drawn = box.low.cpu() + share * (box.high - box.low).cpu()
    return drawn[0], drawn[1]


def _witness(
    network: Network,
    region: Polyhedral,
    ends: tuple[Tensor, Tensor],
    outputs: NDArray[np.int64],
) -> NotConvex | None:
    """Return a kink of a line where an output bends downwards, if there is one."""
    start, end = ends
    inner = regions_on_segment(network, start, end).t
    t = torch.cat([inner.new_zeros(1), inner, inner.new_ones(1)])
    points = torch.stack([torch.lerp(start, end, float(value)) for value in t])
    value = evaluate(network, points).reshape(len(t), -1)[:, outputs]
    if len(t) < 3:
        return None
    share = ((t[1:-1] - t[:-2]) / (t[2:] - t[:-2]))[:, None]
    excess = value[1:-1] - torch.lerp(value[:-2], value[2:], share)
    order = excess.max(dim=1).values.argsort(descending=True)[:3].tolist()
    for place in order:
        output = int(outputs[int(excess[place].argmax())])
        a, b, c = points[place], points[place + 2], float(share[place])
        found = _checked(region, a, b, c, output)
        if found is not None:
            return found
    return None


def _checked(
    region: Polyhedral, x: Tensor, y: Tensor, weight: float, output: int
) -> NotConvex | None:
    """Return a witness if whole numbers confirm it."""
    numbers, _ = whole_numbers([*x.flatten().tolist(), *y.flatten().tolist(), 1.0])
    t, size = numbers[-1], x.numel()
    a, b = numbers[:size], numbers[size : 2 * size]
    p, q = Fraction(weight).numerator, Fraction(weight).denominator
    middle = [(q - p) * u + p * v for u, v in zip(a, b, strict=True)]
    exact = ExactValues(region)

    def at(point: list[int], scale: int) -> Fraction:
        number, shift = exact.at([*point, scale], region.end)
        return Fraction(number[output], (1 << shift) * scale)

    share = Fraction(p, q)
    chord = (1 - share) * at(a, t) + share * at(b, t)
    excess = at(middle, t * q) - chord
    if excess <= 0:
        return None
    return NotConvex(
        x=x,
        y=y,
        between=torch.lerp(x, y, weight),
        weight=weight,
        output=output,
        excess=float(excess),
    )
