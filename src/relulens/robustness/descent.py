"""Inputs in boxes that make an objective small, by steps along the slope's signs."""

from collections.abc import Callable

import torch
from torch import Tensor

from relulens.graph.evaluate import evaluate
from relulens.graph.freeze import freeze
from relulens.graph.network import Network
from relulens.graph.tangent import adjoint

STEPS = 20


def smallest_found(
    network: Network,
    start: Tensor,
    box: tuple[Tensor, Tensor],
    objective: Callable[[Tensor], tuple[Tensor, Tensor]],
    *,
    steps: int = STEPS,
) -> tuple[Tensor, Tensor]:
    """Return inputs in boxes where an objective of the output is as small as found.

    Every entry moves by a share of the box's width along the sign of the slope, by
    shrinking shares; the best input met is kept.

    Args:
        network: The network, float64.
        start: Where to start [N, *input_shape], inside the boxes.
        box: Lowest and highest inputs.
        objective: Gives values [N] and their derivatives [N, q] from outputs [N, q].
        steps: Number of steps.

    Returns:
        The inputs, and the values there, evaluated again.
    """
    low, high = box
    x, best = start, start.clone()
    value = objective(evaluate(network, x).flatten(1))[0]
    width = high - low
    for step in range(steps):
        frozen = freeze(network, x, network.output, (network.output,))
        _, weights = objective(frozen.values[network.output].flatten(1))
        shaped = weights.reshape(-1, *network.output_shape)
        slope = adjoint(frozen, shaped)
        share = 0.5 * (1 - step / steps) ** 2 if step else 1.0
        x = torch.clamp(x - share * width * slope.sign(), low, high)
        now = objective(evaluate(network, x).flatten(1))[0]
        better = now < value
        value = torch.where(better, now, value)
        best[better] = x[better]
    return best, value


def margin_of(labels: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return the objective that is a label's output minus the largest other one."""

    def objective(y: Tensor) -> tuple[Tensor, Tensor]:
        own = torch.nn.functional.one_hot(labels, y.shape[1]).bool()
        rival = y.masked_fill(own, -torch.inf).argmax(1)
        other = torch.nn.functional.one_hot(rival, y.shape[1])
        weights = own.to(y.dtype) - other.to(y.dtype)
        return (weights * y).sum(1), weights

    return objective


def worst_row(rows: Tensor, right: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return the objective that is the largest of ``rows y - right``."""

    def objective(y: Tensor) -> tuple[Tensor, Tensor]:
        value, place = (y @ rows.T - right).max(1)
        return value, rows[place]

    return objective
