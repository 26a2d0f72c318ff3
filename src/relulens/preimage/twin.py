"""Twins: another input with the same features, as far away as found."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import null_space
from torch import Tensor

from relulens.certificates.rounding import Array
from relulens.certificates.statement import Statement, subject_of
from relulens.certificates.subjects import Weights, weights_of
from relulens.certificates.system import take
from relulens.errors import MemoryLimitError
from relulens.graph.convert import converted
from relulens.graph.freeze import node_values
from relulens.graph.network import Network
from relulens.graph.tolerances import Tolerances
from relulens.preimage.counts import check_count
from relulens.preimage.dimension import implied
from relulens.preimage.farthest import farthest, longest_step
from relulens.preimage.kernel import Kernel, kernel
from relulens.preimage.positive_span import candidates
from relulens.preimage.preimage import read
from relulens.preimage.projected import Projected, projected
from relulens.preimage.question import Question, question

SAME = 1e-12
"""Features count as the same up to this, relative to the largest."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Twin:
    """An input with the features of another one.

    Attributes:
        x: The input [*input_shape].
        x2: The twin [*input_shape]; nothing if none was found.
        distance: Euclidean distance of the two, in the input's unit; 0 without a twin.
        distance_linf: Largest difference of an entry.
        difference: Largest difference of a feature in float64, over the largest
            feature; infinite without a twin.
        difference_float32: The same evaluated in float32.
        unbounded: Whether twins lie arbitrarily far away; this one is as far as
            rounding lets the features agree.
        reason: In words.
    """

    x: Float[Tensor, "*input"]
    x2: Float[Tensor, "*input"] | None
    distance: float
    distance_linf: float
    difference: float
    difference_float32: float
    unbounded: bool
    reason: str

    def __repr__(self) -> str:
        """Return the distance on one line."""
        if self.x2 is None:
            return f"Twin(none: {self.reason})"
        return (
            f"Twin(distance={self.distance:.4g}, linf={self.distance_linf:.4g},"
            f" feature difference={self.difference:.2g} relative)"
        )


def twin(
    network: Network,
    x: object,
    /,
    *,
    layer: int | str,
    domain: object = None,
    restarts: int | None = None,
    tol: Tolerances | None = None,
    seed: int = 0,
) -> list[Twin]:
    """Return for every input another one with the same features, far away.

    It lies on x's own piece: the same units stay off, and active ones keep their value.

    Args:
        network: The network.
        x: Inputs [N, *input_shape].
        layer: Index into ``network.layers``, or any name.
        domain: A ``Box``, a region, or a pair (A, b) for ``A x <= b``, that the twin
            lies in, as for ``preimage``; the network's domain by default.
        restarts: Starts of the search for the farthest point; by default 100 on small
            sets and 4 on large ones.
        tol: ``tol.sign`` says which arguments are zero to rounding.
        seed: For the starts.

    Returns:
        One twin an input, evaluated through the network in float64 and float32; without
        ``x2`` where the features determine the input or no twin was found.

    Raises:
        InvalidArgumentError: The domain does not fit or does not hold x, or there are
            no restarts.
        NotPolyhedralError: The layer, or one before it, is curved.
        UnknownNameError: No layer has this name.

    Cost:
        For bounded sets about five linear programs a start, each 10 to 25 products
        ``G^T D G`` [q, q].
    """
    if restarts is not None:
        check_count(restarts, name="restarts", least=1, verb="look for twins")
    asked = question(network, layer, "region", domain, tol or Tolerances())
    points = asked.network.as_input(x)
    results: list[Twin] = []
    shared: Weights | None = None
    for i in range(points.shape[0]):
        point = points[i : i + 1]
        subject = subject_of(
            asked.network, asked.target, asked.scope, point, asked.limits
        )
        weights = weights_of(subject) if shared is None else shared
        if asked.scope == "layer":
            shared = weights
        statement = read(asked, subject, weights, point, point.reshape(-1))
        results.append(_one(asked, statement, weights, point, restarts, seed))
    return results


def _one(
    asked: Question,
    statement: Statement,
    weights: Weights,
    x: Tensor,
    restarts: int | None,
    seed: int,
) -> Twin:
    try:
        left = kernel(take(weights, statement.equal).matrix)
        if left.basis.shape[1] == 0:
            return _none(x, "the features determine the input")
        inside = projected(take(weights, statement.below).matrix, left.basis)
    except MemoryLimitError as error:
        return _none(x, str(error))
    slack = statement.slack[inside.used] / inside.size
    turn = _moving(inside, slack)
    if turn is None:
        return _none(x, "which conditions are equalities is not settled")
    if turn.shape[1] == 0:
        return _none(x, "the features determine the input")
    return _moved(asked, x, left, inside, slack, turn, restarts, seed)


def _moving(inside: Projected, slack: Array) -> Array | None:
    """Return a basis of the directions along which the set has an interior."""
    q = inside.rows.shape[1]
    tight = inside.rows[slack == 0]
    if tight.shape[0] == 0:
        return np.eye(q)
    fixed = implied(tight)
    if fixed is None:
        return None
    return np.eye(q) if fixed.size == 0 else null_space(tight[fixed])


def _moved(
    asked: Question,
    x: Tensor,
    left: Kernel,
    inside: Projected,
    slack: Array,
    turn: Array,
    restarts: int | None,
    seed: int,
) -> Twin:
    rows = inside.rows if turn.shape[0] == turn.shape[1] else inside.rows @ turn
    size = np.sqrt((rows**2).sum(1))
    used = size > 1e-11
    G, g = rows[used] / size[used, None], slack[used] / size[used]
    basis = left.basis @ turn
    for direction in _receding(G):
        if not np.isfinite(longest_step(G, g, direction)):
            found = _along(asked, x, basis @ direction)
            if found.x2 is not None:
                return found
    z, length = farthest(G, g, restarts=restarts, seed=seed)
    if length == 0:
        return _none(x, "no linear program found another point")
    found = _checked(
        asked, x, basis @ z, unbounded=False, reason="farthest point found"
    )
    return found


def _receding(G: Array) -> list[Array]:
    for _, found in candidates(G):
        if found.kind == "spanning":
            return []
        length = float(np.linalg.norm(found.vector))
        if (G @ found.vector).max(initial=-1.0) <= 1e-12 * length:
            return [found.vector / length]
    return []


def _along(asked: Question, x: Tensor, direction: Array) -> Twin:
    """Return the twin along a direction that never leaves, as far as it verifies."""
    unit = direction / np.linalg.norm(direction)
    scale = max(float(x.abs().max()), 1.0) * np.sqrt(unit.size)
    for power in range(6, -4, -1):
        step = unit * (scale * 10.0**power)
        found = _checked(
            asked, x, step, unbounded=True, reason="along a free direction"
        )
        if found.x2 is not None:
            return found
    return _none(x, "a free direction is known only to rounding")


def _none(x: Tensor, reason: str) -> Twin:
    return Twin(
        x=x[0],
        x2=None,
        distance=0.0,
        distance_linf=0.0,
        difference=float("inf"),
        difference_float32=float("inf"),
        unbounded=False,
        reason=reason,
    )


def _checked(
    asked: Question, x: Tensor, step: Array, *, unbounded: bool, reason: str
) -> Twin:
    """Return a twin if the network agrees that the features are the same."""
    x2 = x + torch.from_numpy(step).reshape(x.shape)
    limits = asked.limits
    if limits is not None and limits.low is not None and limits.high is not None:
        flat = x2.reshape(-1)
        x2 = torch.minimum(torch.maximum(flat, limits.low), limits.high).reshape(
            x.shape
        )
    difference = feature_difference(asked.network, asked.target.feature, x, x2)
    if not difference <= SAME:
        return _none(x, f"the features would differ by {difference:.2g}")
    narrow = converted(asked.network, torch.float32)
    change = (x2 - x).reshape(-1)
    return Twin(
        x=x[0],
        x2=x2[0],
        distance=float(change.norm()),
        distance_linf=float(change.abs().max()),
        difference=difference,
        difference_float32=feature_difference(
            narrow, asked.target.feature, x.float(), x2.float()
        ),
        unbounded=unbounded,
        reason=reason,
    )


def feature_difference(network: Network, node: int, x: Tensor, x2: Tensor) -> float:
    """Return the largest difference of a node's values, over the largest value.

    Where all values at ``x`` are zero it is not divided.
    """
    values = node_values(network, torch.cat([x, x2]), [node])[node].flatten(1)
    size = float(values[0].abs().max()) if values.shape[1] else 0.0
    return float((values[1] - values[0]).abs().max()) / (size or 1.0)
