"""An input from a layer's features: exact where there is one, regularised beside."""

import math
from dataclasses import dataclass
from numbers import Real

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.certificates.reading import leaves_of
from relulens.certificates.target import Target, target_of
from relulens.errors import InvalidArgumentError, ShapeError
from relulens.graph.arrays import tensor_of
from relulens.graph.convert import converted
from relulens.graph.domain import Box
from relulens.graph.linear_map import BYTE_LIMIT, check_bytes
from relulens.graph.network import Network
from relulens.graph.nodes import TwoSlope
from relulens.graph.tolerances import Tolerances
from relulens.local.affine_map import local_affine_map
from relulens.preimage.preimage import preimage
from relulens.preimage.result import Preimage
from relulens.preimage.variation import variation

STEPS = 2000
CLOSE = 1e-9
"""Steps end once an input moves less than this, relative to its length."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class InverseError:
    """The error of one reconstruction, split by what the features say.

    ``unidentified^2 + unstable^2 = total^2``.

    Attributes:
        total: Length of the error.
        unidentified: Part along directions that the active units do not see at all.
        unstable: Part along directions that they see, where it is at most the misfit
            over the smallest nonzero singular value.
        misfit: Length of the active units' change by the error.
        smallest: That singular value; NaN without active units.
    """

    total: float
    unidentified: float
    unstable: float
    misfit: float
    smallest: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Reconstruction:
    """Inputs from features.

    Attributes:
        exact: One pre-image per features: a verdict and, unless empty, a point.
        points: Those points [N, *input_shape]; NaN where there is none.
        regularised: Minimisers of the regularised misfit [N, *input_shape].
        misfit: Their features' distance from the given ones over their length [N].
        regulariser: ``"total variation"`` for images, else ``"squared length"``.
        converged: Whether the steps ended by themselves, [N].
        exact_error: Split error of ``points``, if the true inputs were given; nothing
            where there is no point.
        regularised_error: Split error of ``regularised``, likewise.
    """

    exact: list[Preimage]
    points: Float[Tensor, "batch *in"]
    regularised: Float[Tensor, "batch *in"]
    misfit: Float[Tensor, " batch"]
    regulariser: str
    converged: Tensor
    exact_error: list[InverseError | None]
    regularised_error: list[InverseError | None]

    def __repr__(self) -> str:
        """Return the verdicts on one line."""
        verdicts = [found.verdict for found in self.exact]
        return f"Reconstruction({len(verdicts)} inputs: {verdicts})"


def reconstruction(
    network: Network,
    features: object,
    /,
    *,
    layer: int | str,
    domain: object = None,
    weight: float = 1e-3,
    truth: object = None,
    tol: Tolerances | None = None,
    limit: int = BYTE_LIMIT,
) -> Reconstruction:
    r"""Return inputs that give a ReLU layer's features, exactly and regularised.

    Exactly, a point of the polyhedron that ``preimage`` classifies. Beside it the
    minimiser of :math:`\tfrac12 |A_S x + b_S - y_S|^2 + \tfrac12 |(A_Z x + b_Z)_+|^2 +
    w R(x)` in the domain, with S the positive features: convex, and defined for
    features that no input has, such as noisy ones.

    Args:
        network: The network.
        features: Features [N, *shape of the layer], not negative.
        layer: A ReLU layer that reads an affine map of the input.
        domain: As in ``preimage``; a box also holds the regularised inputs.
        weight: The regulariser's, relative to the largest squared singular value.
        truth: The true inputs [N, *input_shape], for the split of the errors.
        tol: As in ``preimage``; ``rank`` decides what counts as unseen.
        limit: Bytes of the layer's matrix.

    Raises:
        InvalidArgumentError: The layer is no ReLU or reads other layers, there are not
            as many true inputs as features, or the weight is negative.
        ShapeError: Features or truth have another shape.
        MemoryLimitError: The layer's matrix is too large.

    Cost:
        One pre-image an input, and up to 2000 products with the layer's matrix.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[2.0], [-1.0]], None), ([[1.0, 1.0]], None)])
        >>> reconstruction(network, [[4.0, 0.0]], layer=0).points
        tensor([[2.]], dtype=torch.float64)
    """
    if not isinstance(weight, Real) or not 0 <= weight < math.inf:
        raise InvalidArgumentError(
            f"cannot reconstruct inputs: the weight is {weight!r}, and a finite number"
            " of at least 0 is needed. Pass one such as 1e-3."
        )
    tolerances = tol or Tolerances()
    exact = converted(network, torch.float64, torch.device("cpu"))
    target = _relu(exact, layer)
    given = tensor_of(features, subject="features").cpu().to(torch.float64)
    shape = exact.nodes[target.feature].shape
    if given.ndim == 0 or given.shape[1:] != torch.Size(shape):
        raise ShapeError(
            f"features of layer {target.name!r}",
            given.shape,
            shape,
            "Pass one row an input.",
        )
    known = None if truth is None else exact.as_input(truth).to(torch.float64)
    if known is not None and known.shape[0] != given.shape[0]:
        raise InvalidArgumentError(
            f"cannot compare {given.shape[0]} features with {known.shape[0]} true"
            " inputs: their numbers differ. Pass one input per features."
        )
    matrix, offset = _layer_map(exact, layer, limit)
    found = preimage(exact, layer=layer, features=given, domain=domain, tol=tol)
    points = _points(exact, found)
    flat = given.flatten(1)
    solved = _regularised(exact, matrix, offset, flat, domain, weight)
    again = (solved.x @ matrix.T + offset).clamp(min=0)
    length = flat.norm(dim=1).clamp(min=torch.finfo(torch.float64).tiny)
    regularised = solved.x.reshape(points.shape)
    return Reconstruction(
        exact=found,
        points=points,
        regularised=regularised,
        misfit=(again - flat).norm(dim=1) / length,
        regulariser=variation(exact.input_shape).name,
        converged=solved.converged,
        exact_error=_errors(points, known, matrix, flat, tolerances),
        regularised_error=_errors(regularised, known, matrix, flat, tolerances),
    )


def _relu(network: Network, layer: int | str) -> Target:
    target = target_of(network, layer)
    match target.kind:
        case TwoSlope(negative=negative, positive=positive) if (
            target.upper is None and not negative.any() and bool((positive == 1).all())
        ):
            pass
        case _:
            raise InvalidArgumentError(
                f"cannot invert layer {target.name!r}: it is"
                f" {type(target.kind).__name__}, and 1 ReLU is needed. Use rl.preimage,"
                " which takes every piecewise-affine layer."
            )
    leaves = leaves_of(network, target.argument)
    if leaves != (0,):
        raise InvalidArgumentError(
            f"cannot invert layer {target.name!r}: it reads {len(leaves)} nodes that"
            " are not the input. Choose a layer that reads the input, and go back layer"
            " by layer."
        )
    return target


def _layer_map(network: Network, layer: int | str, limit: int) -> tuple[Tensor, Tensor]:
    """Return the layer's matrix and bias, flat."""
    units = math.prod(network.nodes[network.find(layer)].shape)
    size = 8 * units * network.input_size
    check_bytes("the layer's matrix", size, limit, "Choose a smaller layer.")
    origin = torch.zeros((1, *network.input_shape), dtype=torch.float64)
    found = local_affine_map(network, origin, layer=layer, at="preactivation")
    return found.slope[0], found.offset[0]


def _points(network: Network, found: list[Preimage]) -> Tensor:
    points = torch.full(
        (len(found), network.input_size), torch.nan, dtype=torch.float64
    )
    for i, item in enumerate(found):
        if item.point is not None:
            points[i] = item.point
    return points.reshape(len(found), *network.input_shape)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Solved:
    x: Tensor
    converged: Tensor


def _regularised(
    network: Network,
    matrix: Tensor,
    offset: Tensor,
    features: Tensor,
    domain: object,
    weight: float,
) -> _Solved:
    """Return minimisers by accelerated projected gradients, with restarts."""
    measure = variation(network.input_shape)
    largest = float(torch.linalg.matrix_norm(matrix, 2)) ** 2 if matrix.numel() else 0.0
    scale = weight * (largest or 1.0)
    step = 1.0 / (largest + scale * measure.curvature or 1.0)
    box = domain if domain is not None else network.domain
    if not isinstance(box, Box):
        box = Box(-torch.inf, torch.inf)
    bounds = [
        torch.as_tensor(b, dtype=torch.float64).expand(network.input_shape).reshape(-1)
        for b in (box.low, box.high)
    ]
    on = features > 0
    x = torch.zeros((features.shape[0], matrix.shape[1]), dtype=torch.float64)
    x = x.clamp(*bounds)
    ahead, momentum = x, torch.ones(len(x), 1, dtype=torch.float64)
    moved = torch.full((len(x),), torch.inf, dtype=torch.float64)
    for _ in range(STEPS):
        value = ahead @ matrix.T + offset
        miss = torch.where(on, value - features, value.clamp(min=0))
        slope = miss @ matrix + scale * measure.gradient(ahead)
        fresh = (ahead - step * slope).clamp(*bounds)
        # a step uphill starts the momentum again
        uphill = ((ahead - fresh) * (fresh - x)).sum(1, keepdim=True) > 0
        later = torch.where(uphill, 1.0, (1 + (1 + 4 * momentum**2).sqrt()) / 2)
        push = torch.where(uphill, 0.0, (momentum - 1) / later)
        moved = (fresh - x).norm(dim=1) / fresh.norm(dim=1).clamp(min=1.0)
        ahead, x, momentum = fresh + push * (fresh - x), fresh, later
        if bool((moved <= CLOSE).all()):
            break
    return _Solved(x=x, converged=moved <= CLOSE)


def _errors(
    made: Tensor,
    truth: Tensor | None,
    matrix: Tensor,
    features: Tensor,
    tol: Tolerances,
) -> list[InverseError | None]:
    if truth is None:
        return [None] * made.shape[0]
    return [
        _split(error, matrix[row > 0], tol)
        for error, row in zip((made - truth).flatten(1), features, strict=True)
    ]


def _split(error: Tensor, active: Tensor, tol: Tolerances) -> InverseError | None:
    if error.isnan().any():
        return None
    smallest, seen = math.nan, torch.zeros_like(error)
    if active.numel():
        _, values, right = torch.linalg.svd(active, full_matrices=False)
        kept = values > tol.rank * values[0]
        if kept.any():
            smallest, basis = float(values[kept][-1]), right[kept]
            seen = (error @ basis.T) @ basis
    return InverseError(
        total=float(error.norm()),
        unidentified=float((error - seen).norm()),
        unstable=float(seen.norm()),
        misfit=float((active @ error).norm()),
        smallest=smallest,
    )
