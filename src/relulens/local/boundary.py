"""The distance from an input to the nearest face of its region."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.convert import converted
from relulens.graph.freeze import freeze
from relulens.graph.network import Network
from relulens.graph.nodes import Maximum
from relulens.graph.polyhedral import Polyhedral, polyhedral
from relulens.graph.tolerances import Tolerances
from relulens.local.margin import TightUnit
from relulens.local.nearest import Nearest, nearest_face
from relulens.local.packing import plan
from relulens.local.rounding import scale_sources
from relulens.local.row_norms import RowNorms, row_norms
from relulens.local.search import Search
from relulens.passes.precision import frozen_in

_LOGGER = logging.getLogger("relulens")

SCREENED_ENTRIES = 1 << 26
"""Jacobians with more entries than this are screened in float32."""

MARGINS = {torch.float32: 1e-2, torch.float64: 1e-9}
"""Relative safety of screened norms; float32 was off by 2e-6 where it was measured."""

BATCH_BYTES = 1 << 20
"""Bytes of the largest array of one batch of samples."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BoundaryDistance:
    """Distances to the nearest faces. As an array it is the distances.

    Attributes:
        distance: l2 distances, in units of the input: the network is its affine map
            nearer than that. Infinite if there is no face; NaN if the time ran out.
        upper: Distance of the nearest face that was found; ``distance`` if complete.
        complete: Whether the distance is exact, not only a lower bound.
        normal: Unit vectors from the inputs towards the nearest points of the faces;
            zeros if there is none.
        units: Every unit that switches there: all of them share the hyperplane.
        examined: Faces that were looked at one by one.
        reasons: Why a distance is not complete; empty if it is.
        faces: ``"effective"`` or ``"all"``.
        screening: In which arithmetic faces were screened; what is reported was
            computed in float64.
        deviation: Largest relative error of a screened norm among those examined.
    """

    distance: Float[Tensor, " batch"]
    upper: Float[Tensor, " batch"]
    complete: Bool[Tensor, " batch"]
    normal: Float[Tensor, " batch *input"]
    units: tuple[tuple[TightUnit, ...], ...]
    examined: Int[Tensor, " batch"]
    reasons: tuple[str, ...]
    faces: str
    screening: str
    deviation: float

    @property
    def layer(self) -> tuple[str | None, ...]:
        """Name of the layer of the nearest face, for every input."""
        return tuple(units[0].layer if units else None for units in self.units)

    @property
    def unit(self) -> Int[Tensor, " batch"]:
        """Flat position of the nearest face's unit in its layer, -1 if none."""
        found = [units[0].unit if units else -1 for units in self.units]
        return torch.tensor(found, dtype=torch.int64)

    def __len__(self) -> int:
        """Return the number of inputs."""
        return self.distance.shape[0]

    def __getitem__(self, sample: int | slice | Tensor) -> Tensor:
        """Return the distance of one input, or of several."""
        return self.distance[sample]

    def __array__(
        self, dtype: np.dtype | None = None, copy: bool | None = None
    ) -> np.ndarray:
        """Return the distances."""
        return np.array(self.distance.cpu().numpy(), dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        done = int(self.complete.sum())
        return f"BoundaryDistance({len(self)} inputs, {done} exact, {self.faces} faces)"


class _TimeIsUpError(Exception):
    """The time budget ended inside a sample."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Clock:
    start: float
    budget: float | None

    def check(self) -> None:
        if self.budget is not None and time.monotonic() - self.start > self.budget:
            raise _TimeIsUpError


def boundary_distance(
    network: Network,
    x: object,
    /,
    *,
    faces: str = "effective",
    tol: Tolerances = Tolerances(),  # noqa: B008
    budget: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BoundaryDistance:
    r"""Return how far every input is from the nearest face of its region.

    The face of a unit with argument :math:`z` is at :math:`|z(x)| / \|\nabla z(x)\|`,
    that of a maximum is where another entry catches up with the winner. The smallest
    over all units of all layers is the radius of the largest ball in the region.

    Args:
        network: A piecewise-affine network.
        x: Inputs [N, *input_shape].
        faces: ``"effective"`` counts a face only if the affine map of the network's
            output is another one beyond it; ``"all"`` counts every unit that switches.
        tol: ``sign`` and ``row`` say what counts as zero.
        budget: Seconds; inputs not done by then get NaN and a reason.
        progress: Called with the number of inputs done and of all.

    Returns:
        The distances, with the units that switch there. An input on a face has 0. If
        units switch nearer than the nearest effective face, a bound on what they can
        change decides; where it cannot, the distance is a lower bound, and says so.

    Raises:
        ShapeError: ``x`` has no batch axis, or another shape than the network's input.
        NotPolyhedralError: A node is not piecewise affine; all are named.
        InvalidArgumentError: ``faces`` is neither of the two words.

    Cost:
        One pass for each column of the Jacobian that cannot be packed with others (in
        float32 for large networks), then a few rows in float64.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[3.0, 4.0]], [0.0]), ([[1.0]], None)])
        >>> boundary_distance(network, [[3.0, 4.0]]).distance.tolist()
        [5.0]
    """
    if faces not in ("effective", "all"):
        raise InvalidArgumentError(
            f"cannot measure distances to faces {faces!r}: that is none of the 2 words"
            " there are, 'effective' and 'all'. Pass one of these."
        )
    region = polyhedral(network, network.output, question="boundary_distance")
    point = network.as_input(x).to(torch.float64)
    job = _prepared(network, region, faces, tol)
    clock = _Clock(start=time.monotonic(), budget=budget)
    found: list[Nearest] = []
    step = _batch_length(job.network)
    for low in range(0, point.shape[0], step):
        try:
            found.extend(_batch(job, point[low : low + step], clock))
        except _TimeIsUpError:
            break
        if progress is not None:
            progress(len(found), point.shape[0])
    return _result(job, point, found, faces, budget)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Job:
    search: Search
    screened: Network

    @property
    def network(self) -> Network:
        return self.search.network


def _prepared(
    network: Network, region: Polyhedral, faces: str, tol: Tolerances
) -> _Job:
    exact = converted(network, torch.float64)
    view = polyhedral(exact, region.end)
    arguments = {i: node.source for i, node in view.nonlinear()}
    read = set(arguments.values())
    last = max(read, default=0)
    if not read <= exact.ancestors(last):
        last = exact.output
    large = exact.input_size * exact.state_size > SCREENED_ENTRIES
    dtype = torch.float32 if large else torch.float64
    search = Search(
        region=view,
        arguments=arguments,
        kept=frozenset(read | {j for i in read for j in scale_sources(exact, i)}),
        effective=faces == "effective",
        exact=not large,
        margin=MARGINS[dtype],
        tolerances=tol,
        steps=plan(exact, 0, last, read, joint=_compared(view), shrink=True),
    )
    return _Job(search=search, screened=converted(exact, dtype))


def _compared(region: Polyhedral) -> dict[int, list[int]]:
    """Return the maxima that read each node."""
    found: dict[int, list[int]] = {}
    for index, node in region.nonlinear():
        if isinstance(node, Maximum):
            found.setdefault(node.source, []).append(index)
    return found


def _batch_length(network: Network) -> int:
    largest = max(math.prod(node.shape) for node in network.nodes)
    return max(1, min(64, BATCH_BYTES // (8 * largest)))


def _batch(job: _Job, x: Tensor, clock: _Clock) -> list[Nearest]:
    search, network = job.search, job.network
    frozen = freeze(network, x, network.output, keep=search.kept)
    clock.check()
    cheap = frozen if job.screened is network else frozen_in(frozen, job.screened)
    norms: RowNorms = row_norms(
        cheap, search.steps, list(search.arguments), clock.check
    )
    found: list[Nearest] = []
    for sample in range(x.shape[0]):
        clock.check()
        found.append(nearest_face(search, frozen, norms, sample))
    return found


def _result(
    job: _Job, x: Tensor, found: list[Nearest], faces: str, budget: float | None
) -> BoundaryDistance:
    missing = x.shape[0] - len(found)
    if missing:
        _LOGGER.info("boundary_distance: %d of %d inputs not done", missing, x.shape[0])
    nan = [math.nan] * missing
    normals = [item.normal for item in found]
    rest = torch.zeros((missing, x[0:1].numel() if len(x) else 0), dtype=torch.float64)
    normal = torch.cat([*(n[None] for n in normals), rest.to(x.device)])
    precision = "float32" if job.screened is not job.network else "float64"
    spent = f"the time budget of {budget} s was used up"
    return BoundaryDistance(
        distance=torch.tensor([i.distance for i in found] + nan, dtype=torch.float64),
        upper=torch.tensor([i.upper for i in found] + nan, dtype=torch.float64),
        complete=torch.tensor(
            [i.complete for i in found] + [False] * missing, dtype=torch.bool
        ),
        normal=normal.reshape(x.shape),
        units=tuple(item.units for item in found) + ((),) * missing,
        examined=torch.tensor(
            [i.examined for i in found] + [0] * missing, dtype=torch.int64
        ),
        reasons=tuple(item.reason for item in found) + (spent,) * missing,
        faces=faces,
        screening=precision,
        deviation=max((item.deviation for item in found), default=0.0),
    )
