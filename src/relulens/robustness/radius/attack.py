"""Changes of a decision that are near, found step by step along local affine maps."""

import numpy as np
import torch
from torch import Tensor

from relulens.graph.freeze import freeze
from relulens.local.jacobian import pull
from relulens.robustness.lipschitz.operator_norms import Norm
from relulens.robustness.radius.walk import Question

STEPS = 30
"""Steps to the boundary before an attack is given up."""

PARTS, ROUNDS = 32, 10
"""How the way to a changed decision is divided, and how often: to a part in 2^50."""


def distance(question: Question, x: Tensor) -> float:
    """Return how far an input is from the question's, in its norm."""
    change = (x - question.x).flatten()
    order = np.inf if question.norm == "inf" else question.norm
    return float(torch.linalg.vector_norm(change, order)) if change.numel() else 0.0


def changed(question: Question, x: Tensor) -> bool:
    """Tell whether the decision no longer holds: a margin is not positive."""
    return float(question.decision.margins(question.network, x[None])[0]) <= 0


def nearby_change(
    question: Question, low: Tensor, high: Tensor, source: torch.Generator
) -> Tensor | None:
    """Return an input of the domain whose decision is another, as near as found.

    Args:
        question: The input and what is asked.
        low: Lowest inputs of the domain.
        high: Highest inputs.
        source: Of random starts, tried if the way from the input itself fails.
    """
    starts = [question.x]
    for scale in (0.1, 1.0):
        noise = torch.randn(question.x.shape, generator=source, dtype=torch.float64)
        size = question.x.abs().mean().clamp(min=1e-3)
        moved = question.x + scale * size * noise.to(question.x.device)
        starts.append(torch.minimum(torch.maximum(moved, low), high))
    found: list[Tensor] = []
    for start in starts:
        end = _descent(question, start, low, high)
        if end is not None:
            found.append(_refined(question, end, low, high))
    return min(found, key=lambda x: distance(question, x)) if found else None


def _margin_maps(question: Question, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the margins [k] and their derivatives [k, in] at an input."""
    end = question.region.end
    frozen = freeze(question.network, x[None], end)
    rows = question.decision.rows
    slopes = pull(frozen, rows.T[None], 0, end)[0].T
    return rows @ frozen.values[end].flatten(), slopes


def _step_to(row: Tensor, value: Tensor, norm: Norm) -> Tensor:
    """Return the shortest step along which a linear function falls by ``value``."""
    if norm == 2:
        return -value * row / row.square().sum()
    if norm == "inf":
        return -value * row.sign() / row.abs().sum()
    step = torch.zeros_like(row)
    place = row.abs().argmax()
    step[place] = -value / row[place]
    return step


def _nearest_row(values: Tensor, slopes: Tensor, norm: Norm) -> int | None:
    """Return the margin that is nearest to zero for its linear map."""
    dual = {1: torch.inf, 2: 2, "inf": 1}[norm]
    sizes = torch.linalg.vector_norm(slopes, dual, dim=1)
    share = torch.where(sizes > 0, values.abs() / sizes, torch.inf)
    place = int(share.argmin())
    return place if bool(torch.isfinite(share[place])) else None


def _descent(
    question: Question, start: Tensor, low: Tensor, high: Tensor
) -> Tensor | None:
    """Step towards the nearest boundary of the local maps until it is crossed."""
    x = start
    for _ in range(STEPS):
        if changed(question, x):
            return x
        values, slopes = _margin_maps(question, x)
        place = _nearest_row(values, slopes, question.norm)
        if place is None:
            return None
        step = _step_to(slopes[place], values[place] * 1.02, question.norm)
        moved = x + step.reshape(x.shape)
        x = torch.minimum(torch.maximum(moved, low), high)
    return x if changed(question, x) else None


def _bisected(question: Question, end: Tensor) -> Tensor:
    """Return the last changed input on the way back to the question's input."""
    near, far = 0.0, 1.0
    way = (end - question.x)[None]
    for _ in range(ROUNDS):
        shares = torch.linspace(near, far, PARTS + 1, dtype=torch.float64)[1:-1]
        points = question.x + shares.to(way).reshape(-1, *[1] * question.x.ndim) * way
        over = question.decision.margins(question.network, points) <= 0
        first = int(over.to(torch.int64).argmax()) if bool(over.any()) else PARTS - 1
        step = (far - near) / PARTS
        near, far = near + first * step, near + (first + 1) * step
        if first < PARTS - 1:
            far = float(shares[first])
    return question.x + far * (end - question.x)


def _refined(question: Question, end: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Aim from the input at the boundary as it is where it was crossed, in turns."""
    best = _bisected(question, end)
    if not changed(question, best):
        return end
    for _ in range(8):
        values, slopes = _margin_maps(question, best)
        place = int(values.argmin())
        if not bool(slopes[place].any()):
            break
        back = slopes[place] @ (best - question.x).flatten()
        step = _step_to(slopes[place], (values[place] - back) * 1.0, question.norm)
        aimed = torch.minimum(
            torch.maximum(question.x + 1.001 * step.reshape(best.shape), low), high
        )
        if not changed(question, aimed):
            break
        aimed = _bisected(question, aimed)
        if distance(question, aimed) >= distance(question, best):
            break
        best = aimed
    return best


def verified(question: Question, x: Tensor, low: Tensor, high: Tensor) -> Tensor | None:
    """Return an input at or just beyond a boundary whose decision is another.

    Rounding leaves computed points of the boundary on either side; they are moved on,
    by no more than a millionth of their way.
    """
    way = x - question.x
    values, slopes = _margin_maps(question, x)
    place = int(values.argmin())
    down = torch.zeros_like(way)
    if bool(slopes[place].any()):
        unit = _step_to(slopes[place], torch.ones_like(values[place]), 2)
        down = unit.reshape(way.shape) / unit.norm()
    for share in (0.0, 1e-15, 1e-13, 1e-11, 1e-9, 1e-8, 1e-7, 1e-6):
        size = way.norm().clamp(min=1e-12)
        for moved in (x + share * way, x + share * size * down):
            inside = torch.minimum(torch.maximum(moved, low), high)
            if changed(question, inside):
                return inside
    return None
