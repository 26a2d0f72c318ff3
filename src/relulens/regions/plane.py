"""Planes through input space: where 2-D slices live."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import InvalidArgumentError, NotFiniteError
from relulens.graph.arrays import tensor_of

_PARALLEL = 1e-12


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Plane:
    """The points ``origin + s * directions[0] + t * directions[1]``.

    Args:
        origin: A point, of the network's input shape.
        directions: Two directions [2, *input_shape]; they need not be orthonormal.

    Raises:
        InvalidArgumentError: The shapes do not fit, or the directions are parallel.
        NotFiniteError: A number is NaN or infinite.

    Example:
        >>> plane = Plane([0.0, 0.0, 1.0], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        >>> plane.points([[2.0, 3.0]]).tolist()
        [[2.0, 3.0, 1.0]]
    """

    origin: Float[Tensor, "*shape"]
    directions: Float[Tensor, " two *shape"]

    def __init__(self, origin: object, directions: object) -> None:
        start = _as_float64(origin, "the origin")
        two = _as_float64(directions, "the directions")
        if tuple(two.shape) != (2, *start.shape):
            raise InvalidArgumentError(
                f"cannot make a plane: the origin has shape {list(start.shape)} and the"
                f" directions {list(two.shape)}, and [2, {_listed(start)}] is needed."
                " Give two directions of the origin's shape."
            )
        for name, value in (("origin", start), ("directions", two)):
            if not bool(torch.isfinite(value).all()):
                bad = int((~torch.isfinite(value)).sum())
                raise NotFiniteError(
                    f"cannot make a plane: {bad} of the {value.numel()} numbers of its"
                    f" {name} are NaN or infinite. Replace them."
                )
        _check_independent(two)
        object.__setattr__(self, "origin", start)
        object.__setattr__(self, "directions", two)

    @classmethod
    def through(cls, p0: object, p1: object, p2: object) -> "Plane":
        """Return the plane with ``p0`` at (0, 0), ``p1`` at (1, 0), ``p2`` at (0, 1).

        Raises:
            InvalidArgumentError: The three points lie on one line, or their shapes
                differ.
        """
        start, first, second = (_as_float64(p, "a point") for p in (p0, p1, p2))
        if not start.shape == first.shape == second.shape:
            shapes = ", ".join(str(list(p.shape)) for p in (start, first, second))
            raise InvalidArgumentError(
                f"cannot make a plane: its points have shapes {shapes}, and they must"
                " be equal. Give three inputs without a batch axis."
            )
        return cls(start, torch.stack([first - start, second - start]))

    @classmethod
    def orthonormal(cls, p0: object, p1: object, p2: object) -> "Plane":
        """Return the plane through three points, in which lengths are those of inputs.

        Its origin is their mean, and its directions are orthonormal; ``coordinates``
        gives where the points lie.

        Raises:
            InvalidArgumentError: The three points lie on one line, or their shapes
                differ.
        """
        slanted = cls.through(p0, p1, p2)
        # Where the points agree the directions must be 0 exactly, as a decomposition
        # would not leave them: else background becomes functions of nearly equal value.
        one, two = slanted.directions.flatten(1)
        one = one / one.norm()
        for _ in range(2):
            two = two - (two @ one) * one
        basis = torch.stack([one, two / two.norm()])
        points = [_as_float64(p, "a point") for p in (p0, p1, p2)]
        return cls(torch.stack(points).mean(0), basis.reshape(slanted.directions.shape))

    @classmethod
    def principal(cls, data: object) -> "Plane":
        """Return the plane of the two principal components, through the mean.

        Args:
            data: Points [N, *input_shape], at least three.

        Raises:
            InvalidArgumentError: The points have fewer than two principal components.
        """
        points = _as_float64(data, "data")
        flat = points.flatten(1)
        mean = flat.mean(0)
        _, _, rows = torch.linalg.svd(flat - mean, full_matrices=False)
        if rows.shape[0] < 2:
            raise InvalidArgumentError(
                f"cannot make a plane of principal components: {points.shape[0]} points"
                f" of {flat.shape[1]} numbers have {rows.shape[0]} components, and 2"
                " are needed. Give more points."
            )
        shape = points.shape[1:]
        # What all points have in common stays so, without rounding.
        fixed = (flat == flat[0]).all(0)
        mean = torch.where(fixed, flat[0], mean)
        rows = torch.where(fixed, 0.0, rows[:2])
        return cls(mean.reshape(shape), rows.reshape(2, *shape))

    def points(self, coordinates: object) -> Float[Tensor, " batch *shape"]:
        """Return the inputs at plane coordinates [N, 2]."""
        place = _as_float64(coordinates, "coordinates")
        flat = place @ self.directions.flatten(1) + self.origin.flatten()
        return flat.reshape(-1, *self.origin.shape)

    def coordinates(self, x: object) -> Float[Tensor, "batch 2"]:
        """Return the plane coordinates of the plane's points nearest to inputs."""
        flat = (_as_float64(x, "x") - self.origin).flatten(1)
        basis = self.directions.flatten(1).T
        return torch.linalg.lstsq(basis, flat.T).solution.T

    def __repr__(self) -> str:
        """Return the shape on one line."""
        return f"Plane({list(self.origin.shape)})"


def _as_float64(value: object, subject: str) -> Tensor:
    return tensor_of(value, subject=subject).to("cpu", torch.float64)


def _listed(start: Tensor) -> str:
    return ", ".join(map(str, start.shape))


def _check_independent(two: Tensor) -> None:
    """Refuse parallel directions.

    Raises:
        InvalidArgumentError: The smaller singular value of the two is zero to rounding.
    """
    rows = two.flatten(1)
    norms = rows.norm(dim=1)
    unit = rows / norms.clamp(min=torch.finfo(torch.float64).tiny)[:, None]
    sine = float(torch.linalg.svdvals(unit).min())
    if sine <= _PARALLEL or not bool((norms > 0).all()):
        raise InvalidArgumentError(
            f"cannot make a plane: its directions, of norms {norms[0]:.3g} and"
            f" {norms[1]:.3g}, are parallel (smallest singular value {sine:.1e} of"
            " the normalised pair). Give two independent directions, or three points"
            " that are not on one line."
        )
