"""The source's sparse attack: random values where the sensitivity is largest."""

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.absolute import absolute
from relulens.graph.blocks import blocks
from relulens.graph.interval import interval
from relulens.graph.network import Network
from relulens.robustness.attacks.attack import logits, margins
from relulens.robustness.attacks.question import AttackQuestion


def sensitivity_rows(
    network: Network, classes: Tensor, low: Tensor, high: Tensor
) -> Float[Tensor, "classes inputs"]:
    """Return rows of ``S = |C| (I - P)^-1 Γ |B| + |D|``, flattened.

    Args:
        network: The network, float64.
        classes: Outputs whose rows are asked for.
        low: Lowest inputs [*input_shape], for gains that are finite on a box only.
        high: Highest inputs, likewise.
    """
    form = blocks(network)
    read = sorted({argument.source for argument in form.arguments})
    boxes = interval(network, low[None], high[None], read)
    count = network.output_shape[0]
    weights = torch.eye(count, dtype=torch.float64, device=network.device)[classes]
    return absolute(form, boxes).adjoint(weights).flatten(1)


def sensitivity_changes(
    question: AttackQuestion, draws: int
) -> Float[Tensor, "batch inputs"]:
    """Return inputs with random values in their k most sensitive pixels.

    Args:
        question: What was asked.
        draws: Random values tried for each input; the one of least margin stays.

    Raises:
        InvalidArgumentError: There is no k, or no draw.
        UnboundedError: A node has no finite gain on the domain.
    """
    if question.k is None:
        raise InvalidArgumentError(
            "cannot attack with method='sensitivity' and k=None: it changes a given"
            " number of entries. Pass k, or method='region' for as few as found."
        )
    if draws < 1:
        raise InvalidArgumentError(
            f"cannot attack with draws={draws}: at least 1 random value an entry is"
            " needed. Leave it out for the default."
        )
    rows = len(question.x)
    if not rows:
        return question.x.clone()
    goal = question.labels if question.targets is None else question.targets
    classes, which = goal.unique(return_inverse=True)
    shape = question.network.input_shape
    low, high = question.low[0].reshape(shape), question.high[0].reshape(shape)
    table = sensitivity_rows(question.network, classes, low, high)
    strength = table[:, question.pixels].sum(2)
    chosen = strength.topk(question.k, 1).indices
    places = question.pixels[chosen].flatten(1)[which]
    return _drawn(question, places, draws)


def _drawn(question: AttackQuestion, places: Tensor, draws: int) -> Tensor:
    """Return each input with the drawn values whose margin is least."""
    generator = torch.Generator().manual_seed(question.seed)
    low, high = question.low.gather(1, places), question.high.gather(1, places)
    best = question.x.clone()
    lowest = margins(logits(question.network, best), question.labels, question.targets)
    lowest = torch.where(lowest < 0, lowest, torch.inf)
    for _ in range(draws):
        drawn = torch.rand(places.shape, generator=generator, dtype=torch.float64)
        value = low + drawn.to(low.device) * (high - low)
        value = value.to(torch.float32).to(torch.float64)
        value = torch.minimum(torch.maximum(value, low), high)
        trial = question.x.scatter(1, places, value)
        margin = margins(
            logits(question.network, trial), question.labels, question.targets
        )
        better = margin < lowest
        best = torch.where(better[:, None], trial, best)
        lowest = torch.where(better, margin, lowest)
    return best
