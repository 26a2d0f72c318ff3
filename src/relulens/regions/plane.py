"""Planes through input space: where 2-D slices live."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import InvalidArgumentError, NotFiniteError, ShapeError
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
            _check_finite(value, "make a plane", f"its {name}")
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
            InvalidArgumentError: The points have fewer than two principal components,
                up to rounding.
            NotFiniteError: A number is NaN or infinite.
        """
        points = _as_float64(data, "data")
        _check_finite(points, "make a plane", "data")
        if points.ndim < 2:
            raise InvalidArgumentError(
                "cannot make a plane of principal components: data have shape"
                f" {list(points.shape)}, and [N, *input_shape] is needed. Give points"
                " with a batch axis."
            )
        flat = points.flatten(1)
        mean = flat.mean(0)
        rows, components = _components(flat, mean)
        if components < 2:
            raise InvalidArgumentError(
                f"cannot make a plane of principal components: {flat.shape[0]} points"
                f" of {flat.shape[1]} numbers have {components}, and 2 are needed. Give"
                " more points, not all on one line."
            )
        shape = points.shape[1:]
        # What all points have in common stays so, without rounding.
        fixed = (flat == flat[0]).all(0)
        mean = torch.where(fixed, flat[0], mean)
        rows = torch.where(fixed, 0.0, rows[:2])
        return cls(mean.reshape(shape), rows.reshape(2, *shape))

    def points(self, coordinates: object) -> Float[Tensor, " batch *shape"]:
        """Return the inputs at plane coordinates [N, 2].

        Raises:
            InvalidArgumentError: The coordinates have another shape.
            NotFiniteError: A coordinate is NaN or infinite.
        """
        place = _as_float64(coordinates, "coordinates")
        if place.ndim == 0 or place.shape[-1] != 2:
            raise InvalidArgumentError(
                f"cannot place points on a plane: coordinates have shape"
                f" {list(place.shape)}, and [N, 2] is needed. Give two a point."
            )
        _check_finite(place, "place points on a plane", "coordinates")
        flat = place @ self.directions.flatten(1) + self.origin.flatten()
        return flat.reshape(-1, *self.origin.shape)

    def coordinates(self, x: object) -> Float[Tensor, "batch 2"]:
        """Return the plane coordinates of the plane's points nearest to inputs.

        Raises:
            ShapeError: The inputs have another shape than the origin.
            NotFiniteError: A number is NaN or infinite.
        """
        given = _as_float64(x, "x")
        if given.ndim == 0 or given.shape[1:] != self.origin.shape:
            raise ShapeError(
                "inputs as points of a plane",
                tuple(given.shape),
                tuple(self.origin.shape),
                "Give them with a batch axis, of the shape of the plane's origin.",
            )
        _check_finite(given, "find plane coordinates", "x")
        flat = (given - self.origin).flatten(1)
        basis = self.directions.flatten(1).T
        return torch.linalg.lstsq(basis, flat.T).solution.T

    def __repr__(self) -> str:
        """Return the shape on one line."""
        return f"Plane({list(self.origin.shape)})"


def _as_float64(value: object, subject: str) -> Tensor:
    return tensor_of(value, subject=subject).to("cpu", torch.float64)


def _components(
    flat: Float[Tensor, "points size"], mean: Float[Tensor, " size"]
) -> tuple[Float[Tensor, "components size"], int]:
    """Return principal components and how many of them are more than rounding."""
    if not flat.numel():
        return flat, 0
    _, sizes, rows = torch.linalg.svd(flat - mean, full_matrices=False)
    rounding = max(flat.shape) * torch.finfo(torch.float64).eps
    return rows, int((sizes > rounding * flat.abs().amax()).sum())


def _check_finite(value: Tensor, action: str, subject: str) -> None:
    """Refuse NaN and infinite numbers.

    Raises:
        NotFiniteError: There are some.
    """
    bad = int((~torch.isfinite(value)).sum())
    if bad:
        raise NotFiniteError(
            f"cannot {action}: {bad} of the {value.numel()} numbers of {subject} are"
            " NaN or infinite. Replace them."
        )


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
