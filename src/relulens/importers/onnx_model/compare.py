"""The agreement check of an imported ONNX file."""

import math

import torch
from torch import Tensor

from relulens.errors import ImportMismatchError
from relulens.graph.evaluate import evaluate
from relulens.graph.network import Agreement, Network
from relulens.importers.agreement import (
    checked_agreement,
    relative_difference,
    sample_inputs,
)
from relulens.importers.onnx_model.oracle import Oracle, runnable

TOLERANCES = {"float16": 5e-3, "float32": 1e-5, "float64": 1e-9}
"""Largest accepted difference, relative to the largest output, by the file's type."""

_ROUNDING = 10.0


def agreed(
    exact: Network, rounded: Network, source: Oracle, path: str
) -> tuple[Agreement, tuple[str, ...]]:
    """Compare a network with its file on inputs inside its domain.

    A difference over the tolerance is accepted only where rounding explains it: the
    same network in single precision then moves by a tenth of the difference at least.
    Files in float64 need that too, as what runs them works in float32 here and there.

    Args:
        exact: The network in float64.
        rounded: The network in float32.
        source: What runs the file.
        path: The file, for messages.

    Returns:
        The agreement, and what a reader of results must know.

    Raises:
        ImportMismatchError: They differ by more.
    """
    drawn = sample_inputs(exact.input_shape, domain=exact.domain)
    samples = torch.from_numpy(drawn.numpy().astype(source.read.dtype)).to(
        torch.float64
    )

    def reference(x: Tensor) -> Tensor:
        return source(evaluate(exact, x, layer=source.read.name))

    found = checked_agreement(
        exact,
        reference,
        samples,
        source=source.name,
        batches=runnable(
            source, evaluate(exact, samples, layer=source.read.name), path
        ),
        tolerance=math.inf,
    )
    allowed = TOLERANCES[source.read.dtype.name]
    if found.difference <= allowed:
        return found, ()
    noise = relative_difference(
        evaluate(rounded, samples).to(torch.float64), evaluate(exact, samples)
    )
    if not found.difference <= _ROUNDING * noise or math.isinf(noise):
        raise ImportMismatchError(source.name, found.difference, allowed)
    note = (
        f"{source.name} differs by {found.difference:.2g} relative; rounding to"
        f" {rounded.dtype} alone moves the network by {noise:.2g}"
    )
    return found, (note,)
