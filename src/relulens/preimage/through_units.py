"""A direction that changes no unit of the first layers, and so nothing behind them."""

import numpy as np
from numpy.typing import NDArray

from relulens.certificates.reading import leaves_of
from relulens.certificates.recession import Recession
from relulens.certificates.subjects import RegionMap, Weights
from relulens.certificates.system import System, take
from relulens.graph.nodes import TwoSlope
from relulens.preimage.kernel import kernel
from relulens.preimage.positive_span import candidates
from relulens.preimage.projected import projected
from relulens.preimage.proofs import prove_through


def through_units(system: System, weights: Weights) -> Recession | None:
    """Return a direction along which the active units that read the input stay still.

    Deeper rows of a region are products, known to rounding; the first layer's are not.
    What changes none of its active units changes no later argument.

    Args:
        system: Rows of a region, more than one layer deep.
        weights: The rows as numbers.

    Cost:
        As for one decision about the first layer.
    """
    subject = system.subject
    if not isinstance(subject, RegionMap):
        return None
    first = _first(subject, weights)
    every = system.equal.with_rows(system.below)
    index, sign = every.index.numpy(), every.sign.numpy()
    own = first[np.minimum(index, first.size - 1)] & (index < first.size)
    own |= index >= weights.outs
    if own.all() or not own.any():
        return None
    # An active unit's side row has the sign -1; domain rows are inequalities.
    active = own & (sign < 0) & (index < weights.outs)
    still = np.flatnonzero(active)
    below = np.flatnonzero(own & ~active)
    if still.size == 0:
        return None
    part = System(subject=subject, equal=every.at(still), below=every.at(below))
    left = kernel(take(weights, part.equal).matrix)
    if left.basis.shape[1] == 0:
        return None
    inside = projected(take(weights, part.below).matrix, left.basis)
    for _, found in candidates(inside.rows):
        if found.kind == "spanning":
            return None
        d = left.basis @ found.vector
        proof = prove_through(system, weights, still, part, d)
        if proof is not None:
            return proof
    return None


def _first(subject: RegionMap, weights: Weights) -> NDArray[np.bool_]:
    """Return which rows are arguments of two-slope units that read the input alone."""
    network = subject.network
    first = np.zeros(weights.outs, dtype=bool)
    for index, start in weights.blocks.items():
        node = network.nodes[index]
        if isinstance(node, TwoSlope) and leaves_of(network, node.source) == (0,):
            first[start : start + int(np.prod(node.shape))] = True
    return first
