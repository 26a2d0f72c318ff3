"""Compare an imported network with its source on sample inputs."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from relulens.errors import ImportMismatchError
from relulens.graph.domain import Box
from relulens.graph.evaluate import evaluate
from relulens.graph.linear_map import Shape
from relulens.graph.network import Agreement, Network

BATCHES = (1, 2, 3)
DOUBLE_TOLERANCE = 1e-9
SINGLE_TOLERANCE = 1e-4


def checked_agreement(
    network: Network,
    reference: Callable[[Tensor], object],
    samples: Tensor,
    *,
    source: str,
    batches: Sequence[int] = BATCHES,
    tolerance: float = SINGLE_TOLERANCE,
) -> Agreement:
    """Return how closely a network follows its source, and refuse if it does not.

    Args:
        network: The imported network.
        reference: The source: a batch of inputs [N, *input_shape], a float64 tensor on
            the processor, to outputs [N, *output_shape], any array.
        samples: Inputs [M, *input_shape]; batch ``n`` takes the first ``n`` of them.
        source: What the source is called in messages, such as ``"onnxruntime"``.
        batches: Batch sizes to compare at.
        tolerance: Largest difference that is accepted, relative to the largest output.

    Returns:
        The agreement over all batches.

    Raises:
        ImportMismatchError: The difference exceeds the tolerance, or shapes differ.
    """
    difference, count = 0.0, 0
    for size in batches:
        x = samples[:size].to("cpu", torch.float64)
        given = reference(x)
        # Through NumPy only what is no tensor: it has no bfloat16.
        array = given if isinstance(given, Tensor) else np.asarray(given)
        theirs = torch.as_tensor(array).detach().to("cpu", torch.float64)
        ours = evaluate(network, x).to("cpu", torch.float64)
        difference = max(difference, relative_difference(ours, theirs))
        count += x.shape[0]
    if not difference <= tolerance:
        raise ImportMismatchError(source, difference, tolerance)
    return Agreement(source=source, difference=difference, samples=count)


def relative_difference(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference over the largest finite entry of ``theirs``.

    Equal infinities, and NaN on both sides, do not differ; other shapes, or NaN or
    infinities on one side only, differ infinitely.
    """
    if ours.shape != theirs.shape:
        return math.inf
    same = (ours == theirs) | (ours.isnan() & theirs.isnan())
    finite = ours.isfinite() & theirs.isfinite()
    if not bool((same | finite).all()):
        return math.inf
    gaps = (ours - theirs)[~same].abs()
    if gaps.numel() == 0:
        return 0.0
    largest = float(theirs[finite].abs().max())
    return float(gaps.max()) / largest if largest > 0 else math.inf


def sample_inputs(
    shape: Shape,
    *,
    example: Tensor | None = None,
    domain: Box | None = None,
    count: int = max(BATCHES),
    seed: int = 0,
) -> Tensor:
    """Return different inputs to compare at.

    Rows of the example come first. The others are drawn between the bounds of the
    domain, else of the example's numbers, else from the standard normal distribution.

    Args:
        shape: Shape of one input.
        example: Inputs [M, *shape] that the source is known to take.
        domain: The inputs that the network is meant for.
        count: Number of inputs.
        seed: Seed of the random numbers.

    Returns:
        [count, *shape], float64.
    """
    rows: Sequence[Tensor] = ()
    if example is not None:
        rows = example[:count].detach().to("cpu", torch.float64).unbind(0)
    distinct: list[Tensor] = []
    for row in rows:
        if not any(torch.equal(row, other) for other in distinct):
            distinct.append(row)
    generator = torch.Generator().manual_seed(seed)
    missing = (count - len(distinct), *shape)
    drawn = torch.rand(missing, generator=generator, dtype=torch.float64)
    low, high = _bounds(domain, distinct)
    if low is None or high is None:
        drawn = torch.randn(missing, generator=generator, dtype=torch.float64)
    else:
        drawn = low + (high - low) * drawn
    return torch.cat([torch.stack(distinct), drawn]) if distinct else drawn


def _bounds(
    domain: Box | None, rows: Sequence[Tensor]
) -> tuple[Tensor | None, Tensor | None]:
    if domain is not None and bool(
        torch.isfinite(domain.low).all() & torch.isfinite(domain.high).all()
    ):
        return domain.low.cpu(), domain.high.cpu()
    if not rows or rows[0].numel() == 0:
        return None, None
    numbers = torch.stack(list(rows))
    low, high = numbers.min(), numbers.max()
    if low < high:
        return low, high
    return (None, None) if low == 0 else (low - low.abs() / 2, low + low.abs() / 2)
