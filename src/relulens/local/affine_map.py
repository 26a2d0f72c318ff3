"""Local affine maps: the one affine map that a network is around a point."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import ShapeError
from relulens.graph.freeze import Frozen, freeze
from relulens.graph.linear_map import BYTE_LIMIT
from relulens.graph.network import Network
from relulens.graph.tolerances import Tolerances
from relulens.local.jacobian import dense_jacobian, flat_rows, pull, push
from relulens.local.margin import Margins, TightUnit, margins
from relulens.local.separation import separates


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LocalAffineMap:
    """The maps ``slope @ x + offset``, one for every input, matrix-free.

    Exact on the input's region for piecewise-affine networks, and the first-order map
    at the input for all others. As an array it is the slopes.

    Attributes:
        frozen: The network, frozen at the inputs.
        start: Index of the node that is varied.
        end: Index of the node that answers.
        separating: Whether everything the answer depends on passes through ``start``;
            if not, what passes by is held at its value.
        exact: Whether every operation between the two nodes is piecewise affine.
        offset: What is left at zero, [N, out].
        limit: Bytes that dense slopes may take.
        tolerances: What counts as zero in ``margin``.
        seed: Of the random directions that ``margin`` uses.
    """

    frozen: Frozen
    start: int
    end: int
    separating: bool
    exact: bool
    offset: Float[Tensor, "batch out"]
    limit: int
    tolerances: Tolerances
    seed: int
    _known: dict[str, Tensor | Margins] = field(default_factory=dict, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(N, out, in)``."""
        nodes = self.frozen.network.nodes
        outs, ins = (math.prod(nodes[i].shape) for i in (self.end, self.start))
        return self.frozen.batch, outs, ins

    def __len__(self) -> int:
        """Return the number of inputs."""
        return self.frozen.batch

    @property
    def slope(self) -> Float[Tensor, "batch out in"]:
        """The dense slopes, computed once.

        Raises:
            MemoryLimitError: They take more than ``limit`` bytes.
        """
        known = self._known.get("slope")
        if isinstance(known, Tensor):
            return known
        dense = dense_jacobian(self.frozen, self.start, self.end, limit=self.limit)
        self._known["slope"] = dense
        return dense

    @property
    def margin(self) -> Float[Tensor, " batch"]:
        """How far the nearest unit is from switching, in units of its argument.

        The smallest ``|argument|`` (of a maximum: lead of the winner; of a smooth
        function: distance to a kink) between the two nodes; 0 at a true boundary, where
        the slope is the convention's. Units whose inequality is constant on the region
        do not count; infinite if there are none.
        """
        return self._margins().smallest

    @property
    def tight(self) -> tuple[tuple[TightUnit, ...], ...]:
        """The units that are exactly at their switch, for every input."""
        return self._margins().tight

    def _margins(self) -> Margins:
        known = self._known.get("margins")
        if isinstance(known, Margins):
            return known
        found = margins(
            self.frozen, self.start, self.end, tol=self.tolerances, seed=self.seed
        )
        self._known["margins"] = found
        return found

    @property
    def T(self) -> "TransposedSlope":
        """The transposed slopes, for ``@`` and ``matmat``."""
        return TransposedSlope(map=self)

    def __call__(self, x: object) -> Float[Tensor, " batch *out"]:
        """Return the affine maps at points, in the shape of the layer.

        Args:
            x: Points [N, *in] or flattened [N, in], one for every map, or one for all.
        """
        shape = self.frozen.network.nodes[self.start].shape
        point = torch.as_tensor(x, device=self.offset.device)
        if point.shape[point.ndim - len(shape) :] == torch.Size(shape) and shape:
            point = point.reshape(*point.shape[: point.ndim - len(shape)], -1)
        value = self @ point + self.offset
        return value.reshape(-1, *self.frozen.network.nodes[self.end].shape)

    def __matmul__(self, v: object) -> Float[Tensor, "batch out"]:
        """Return the slopes times flattened vectors [N, in], or one [in] for all."""
        columns = _columns(v, self.shape[0], self.shape[2], 1, self.offset.device)
        return self.matmat(columns)[..., 0]

    def matmat(self, v: object) -> Float[Tensor, "batch out k"]:
        """Return the slopes times matrices [N, in, k], or one [in, k] for all."""
        columns = _columns(v, self.shape[0], self.shape[2], 2, self.offset.device)
        pushed = push(self.frozen, columns, self.start, self.end)
        return pushed.to(torch.float64)

    def __getitem__(self, sample: int | slice | Tensor) -> Tensor:
        """Return the dense slope of one input, or of several."""
        return self.slope[sample]

    def __array__(
        self, dtype: np.dtype | None = None, copy: bool | None = None
    ) -> np.ndarray:
        """Return the dense slopes."""
        return np.array(self.slope.cpu().numpy(), dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        count, outs, ins = self.shape
        kind = "exact" if self.exact else "first order"
        return f"LocalAffineMap({count} maps, {ins} -> {outs}, {kind})"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TransposedSlope:
    """The transposed slopes of local affine maps.

    Attributes:
        map: The maps.
    """

    map: LocalAffineMap

    def __matmul__(self, w: object) -> Float[Tensor, "batch in"]:
        """Return the transposed slopes times [N, out], or one [out] for all."""
        shape = self.map.shape
        columns = _columns(w, shape[0], shape[1], 1, self.map.offset.device)
        return self.matmat(columns)[..., 0]

    def matmat(self, w: object) -> Float[Tensor, " batch in k"]:
        """Return the transposed slopes times [N, out, k], or one [out, k] for all."""
        shape = self.map.shape
        columns = _columns(w, shape[0], shape[1], 2, self.map.offset.device)
        pulled = pull(self.map.frozen, columns, self.map.start, self.map.end)
        return pulled.to(torch.float64)


def _columns(
    v: object, batch: int, size: int, rank: int, device: torch.device
) -> Float[Tensor, "batch size k"]:
    """Return vectors (rank 1) or matrices (rank 2) as [N, size, k].

    Raises:
        ShapeError: The factor has another shape.
    """
    given = torch.as_tensor(v, device=device)
    shaped = given.unsqueeze(-1) if rank == 1 and given.ndim <= 2 else given
    if shaped.ndim == 2:
        shaped = shaped.expand(batch, *shaped.shape)
    if shaped.ndim != 3 or shaped.shape[0] not in (1, batch) or shaped.shape[1] != size:
        wanted = (size,) if rank == 1 else (size, 1)
        advice = f"Flatten the entries; N is {batch} here, or leave it out for all."
        raise ShapeError("the factor", tuple(given.shape), wanted, advice)
    return shaped.expand(batch, size, shaped.shape[2])


def local_affine_map(
    network: Network,
    x: object,
    /,
    *,
    layer: int | str | None = None,
    start: int | str | None = None,
    at: str = "features",
    tol: Tolerances = Tolerances(),  # noqa: B008
    seed: int = 0,
    limit: int = BYTE_LIMIT,
) -> LocalAffineMap:
    r"""Return the affine maps that the network is around every input.

    With all operations frozen at ``x`` the network is :math:`A x + b`, with
    :math:`A` the product of the linear maps and of the slopes at ``x``, and
    :math:`b = f(x) - A x` :cite:p:`balestriero2018spline`.

    Args:
        network: The network.
        x: Inputs [N, *input_shape].
        layer: Where the map ends: index, name, or nothing for the output.
        start: Where it starts: index or name of a layer, whose features are varied; the
            input by default. If something passes by it (a residual link around it),
            that is held at its value, and ``separating`` says so.
        at: ``"preactivation"`` ends at the argument of the layer instead.
        tol: What counts as zero in ``margin``.
        seed: Of the random directions that ``margin`` uses.
        limit: Bytes that dense slopes may take.

    Returns:
        The maps; computed in the network's type, given as float64.

    Raises:
        ShapeError: ``x`` has no batch axis, or another shape than the network's input.
        NotFiniteError: ``x`` holds NaN or infinite numbers.
        UnknownNameError: No layer has this name.

    Cost:
        Two forward passes; ``slope`` takes min(in, out) more.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], [0.5])])
        >>> m = local_affine_map(network, [[2.0], [-3.0]])
        >>> m.slope.flatten().tolist(), m.offset.flatten().tolist()
        ([1.0, -1.0], [0.5, 0.5])
    """
    end = network.find(layer, at)
    first = 0 if start is None else network.find(start)
    point = network.as_input(x)
    frozen = freeze(network, point, end, keep=[first])
    return map_between(frozen, first, end, tol=tol, seed=seed, limit=limit)


def map_between(
    frozen: Frozen, start: int, end: int, *, tol: Tolerances, seed: int, limit: int
) -> LocalAffineMap:
    """Return the affine maps between two nodes whose values were kept."""
    network = frozen.network
    value = flat_rows(frozen.values[end]).to(torch.float64)
    offset = value
    reached = start in network.ancestors(end)
    if reached:
        begin = flat_rows(frozen.values[start]).unsqueeze(-1)
        image = push(frozen, begin, start, end)[..., 0]
        offset = value - image.to(torch.float64)
    between = [i for i in network.ancestors(end) if i > start]
    curved = any(i in frozen.arguments for i in between)
    return LocalAffineMap(
        frozen=frozen,
        start=start,
        end=end,
        separating=separates(network, start, end),
        exact=not curved,
        offset=offset,
        limit=limit,
        tolerances=tol,
        seed=seed,
    )
