"""Regions as polytopes: all inputs on which every unit stays on its side."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relulens.errors import ShapeError
from relulens.graph.convert import converted
from relulens.graph.domain import Box
from relulens.graph.freeze import Frozen, freeze, frozen_part
from relulens.graph.linear_map import BYTE_LIMIT, LinearMap
from relulens.graph.maps import AlongAxis, Reshape, composed
from relulens.graph.network import Network
from relulens.graph.polyhedral import Polyhedral, polyhedral, source_name
from relulens.graph.tolerances import Tolerances
from relulens.local.face_map import FaceMap, comparisons, constant_rows
from relulens.local.jacobian import flat_rows
from relulens.local.redundancy import Ball, irredundant, largest_ball


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Polytope:
    """The set ``{x : A x <= b}``.

    Attributes:
        A: The rows, a linear map from the input's shape; ``A.to_dense()`` is a matrix.
        b: The right-hand sides.
        point: A point of the set.
        constant: Rows that are zero, so that their inequality says nothing.
        layers: Names of the layers that rows belong to.
        layer: Place in ``layers`` of each row's layer.
        unit: Flat position in the layer's features of each row's unit.
        tolerances: ``feasible`` says how far outside still counts as inside.
    """

    A: LinearMap
    b: Float[Tensor, " rows"]
    point: Float[Tensor, " *input"]
    constant: Bool[Tensor, " rows"]
    layers: tuple[str, ...]
    layer: Int[Tensor, " rows"]
    unit: Int[Tensor, " rows"]
    tolerances: Tolerances

    def __len__(self) -> int:
        """Return the number of inequalities."""
        return self.b.shape[0]

    def slack(self, x: object) -> Float[Tensor, "batch rows"]:
        """Return ``b - A x`` for points [N, *input_shape], nonnegative inside."""
        return self.b - self.A.apply(self._points(x))

    def _points(self, x: object) -> Tensor:
        point = torch.as_tensor(x, dtype=torch.float64, device=self.b.device)
        if tuple(point.shape[1:]) != self.A.in_shape or point.ndim == 0:
            raise ShapeError(
                "x", tuple(point.shape), self.A.in_shape, "Put the batch axis first."
            )
        return point

    def __contains__(self, x: object) -> bool:
        """Tell whether a point is nearer to every half-space than the tolerance.

        Args:
            x: A point of the input's shape; every row counts with norm one.
        """
        point = torch.as_tensor(x, dtype=torch.float64, device=self.b.device)
        slack = self.slack(point.reshape(1, *self.A.in_shape))[0]
        outside = ((slack < 0) & ~self.constant).nonzero().flatten()
        if not bool((slack[self.constant] >= 0).all()):
            worst = -slack[self.constant].min()
            if float(worst) > self.tolerances.feasible:
                return False
        for places in outside.split(64):
            norms = self._rows(places).norm(dim=1)
            if bool((-slack[places] > self.tolerances.feasible * norms).any()):
                return False
        return True

    def _rows(self, places: Tensor) -> Float[Tensor, "k inputs"]:
        if isinstance(self.A, FaceMap):
            return self.A.dense_rows(places)
        return self.A.to_dense()[places]

    def facets(
        self, *, domain: Box | None = None, limit: int = BYTE_LIMIT
    ) -> "Polytope":
        """Return the same set by the rows that are needed, each of norm one.

        Rows that follow from others are found by linear programs with HiGHS; of rows
        that say the same, the first one stays.

        Args:
            domain: Leave out rows that are not needed inside this box either; the box'
                own sides are not listed.
            limit: Bytes that the dense rows may take.

        Raises:
            MemoryLimitError: The dense rows take more than ``limit`` bytes.
            SolverError: A linear program could not be solved.

        Cost:
            A linear program over the rows kept so far for each row no ray settles.
        """
        rows = self.A.to_dense(limit=limit).cpu().numpy()
        kept, scaled, right = irredundant(
            rows,
            self.b.cpu().numpy(),
            self.constant.cpu().numpy(),
            self.point.flatten().cpu().numpy(),
            box=_box_bounds(domain, self.A.in_shape),
            tol=self.tolerances.feasible,
        )
        places = torch.from_numpy(kept).to(self.b.device)
        matrix = torch.from_numpy(scaled).to(self.b.device)
        flat = Reshape(self.A.in_shape, (self.A.in_size,))
        return Polytope(
            A=composed(flat, AlongAxis(matrix, (self.A.in_size,), 0)),
            b=torch.from_numpy(right).to(self.b.device),
            point=self.point,
            constant=torch.zeros(len(places), dtype=torch.bool, device=self.b.device),
            layers=self.layers,
            layer=self.layer[places],
            unit=self.unit[places],
            tolerances=self.tolerances,
        )

    def chebyshev(self, *, domain: Box | None = None, limit: int = BYTE_LIMIT) -> Ball:
        """Return the largest ball in the set, with its centre and radius.

        Args:
            domain: Keep the ball inside this box, too.
            limit: Bytes that the dense rows may take.

        Returns:
            The ball; an infinite radius, around ``point``, if the set holds balls of
            any size.

        Raises:
            MemoryLimitError: The dense rows take more than ``limit`` bytes.
            SolverError: The linear program could not be solved.

        Cost:
            One dense linear program.
        """
        rows = self.A.to_dense(limit=limit).cpu().numpy()
        ball = largest_ball(
            rows,
            self.b.cpu().numpy(),
            self.constant.cpu().numpy(),
            self.point.flatten().cpu().numpy(),
            box=_box_bounds(domain, self.A.in_shape),
        )
        centre = ball.centre.reshape(self.A.in_shape).to(self.b.device)
        return Ball(centre=centre, radius=ball.radius)

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        idle = int(self.constant.sum())
        return (
            f"Polytope({len(self)} inequalities in {self.A.in_size}, {idle} constant)"
        )


def _box_bounds(
    domain: Box | None, shape: tuple[int, ...]
) -> tuple[Tensor, Tensor] | None:
    if domain is None:
        return None
    low = domain.low.expand(shape).flatten().cpu()
    return low, domain.high.expand(shape).flatten().cpu()


def region_polytope(
    network: Network,
    x: object,
    /,
    *,
    layer: int | str | None = None,
    tol: Tolerances = Tolerances(),  # noqa: B008
    seed: int = 0,
) -> list[Polytope]:
    r"""Return the closed activation region that holds every input.

    Every unit keeps its side on the region, so it is :math:`\{x : Ax \le b\}` with one
    row a unit, and one a loser of each maximum :cite:p:`balestriero2018spline`.

    Args:
        network: A network that is piecewise affine up to the layer.
        x: Inputs [N, *input_shape]; on a boundary, the region of the tie convention.
        layer: Count the units up to this layer; all of them by default.
        tol: ``row`` says which rows are zero, ``feasible`` what is inside.
        seed: Of the random directions that tell zero rows.

    Returns:
        One polytope an input; redundant rows kept, rows in the order of layers and
        units, not scaled.

    Raises:
        ShapeError: ``x`` has no batch axis, or another shape than the network's input.
        NotPolyhedralError: A node is not piecewise affine; all are named.
        UnknownNameError: No layer has this name.

    Cost:
        One forward pass and a few more an input; rows are made when they are asked for.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[1.0], [-1.0]], [0.0, 3.0]), ([[1.0, 1.0]], None)])
        >>> region = region_polytope(network, [[2.0]])[0]
        >>> region.A.to_dense().tolist(), region.b.tolist()
        ([[-1.0], [1.0]], [0.0, 3.0])
    """
    end = network.find(layer)
    region = polyhedral(network, end, question="region_polytope")
    exact = converted(network, torch.float64)
    point = network.as_input(x).to(torch.float64)
    read = {node.source for _, node in region.nonlinear()}
    frozen = freeze(exact, point, end, keep=read)
    return [
        _polytope(frozen_part(frozen, slice(i, i + 1)), region, tol, seed)
        for i in range(point.shape[0])
    ]


def _polytope(one: Frozen, region: Polyhedral, tol: Tolerances, seed: int) -> Polytope:
    rows = tuple(comparisons(one, region))
    map_ = FaceMap(one, rows)
    values = [part.of(flat_rows(one.values[part.source]))[0] for part in rows]
    empty = one.x.new_zeros(0)
    here = map_.apply(one.x)[0]
    names = [source_name(one.network, part.node) for part in rows]
    layers = tuple(dict.fromkeys(names))
    place = [
        torch.full_like(part.unit, layers.index(name))
        for part, name in zip(rows, names, strict=True)
    ]
    none = torch.zeros(0, dtype=torch.int64)
    return Polytope(
        A=map_,
        # A row's inequality is "value <= 0" with value = A x + (value here - A here).
        b=here - torch.cat([*values, empty]),
        point=one.x[0],
        constant=constant_rows(map_, tol=tol.row, seed=seed),
        layers=layers,
        layer=torch.cat([*place, none]),
        unit=torch.cat([*(part.unit for part in rows), none]),
        tolerances=tol,
    )
