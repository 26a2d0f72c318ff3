"""The lowest and highest value of every coordinate over a pre-image's piece."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.linalg import solve
from torch import Tensor

from relulens.certificates.rounding import Array
from relulens.preimage.centres import BarrierCentre
from relulens.preimage.extents import Programs


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ranges:
    """Smallest and largest values of several functionals, each from both sides.

    Attributes:
        low_bound: No point of the set is below.
        low_found: A point of the set has this value; minus infinity if none is lowest.
        high_found: Likewise for the highest.
        high_bound: No point of the set is above.
        complete: Whether both ends were asked for, or follow without asking; elsewhere
            the bounds are coarse.
    """

    low_bound: Float[Tensor, " functionals"]
    low_found: Float[Tensor, " functionals"]
    high_found: Float[Tensor, " functionals"]
    high_bound: Float[Tensor, " functionals"]
    complete: Bool[Tensor, " functionals"]

    def __repr__(self) -> str:
        """Return the counts and the largest width on one line."""
        width = (self.high_found - self.low_found).max() if len(self.complete) else 0.0
        done = int(self.complete.sum())
        return (
            f"Ranges({done} of {len(self.complete)} complete, largest width found"
            f" {float(width):.4g})"
        )


def widths(programs: Programs, directions: Array) -> Ranges:
    """Return the ranges of ``directions . x``, two linear programs each.

    Args:
        programs: The piece.
        directions: One a row [k, n].
    """
    ends = [(programs.furthest(-u), programs.furthest(u)) for u in directions]
    return Ranges(
        low_bound=torch.tensor([-low.bound for low, _ in ends], dtype=torch.float64),
        low_found=torch.tensor([-low.found for low, _ in ends], dtype=torch.float64),
        high_found=torch.tensor([high.found for _, high in ends], dtype=torch.float64),
        high_bound=torch.tensor([high.bound for _, high in ends], dtype=torch.float64),
        complete=torch.ones(len(ends), dtype=torch.bool),
    )


def bounding_image(
    programs: Programs,
    middle: BarrierCentre | None,
    budget: int,
    progress: Callable[[int, int], None] | None = None,
) -> Ranges:
    """Return the range of every coordinate, the widest gaps first, within a budget.

    Every point found for one coordinate counts for all others, so that many need no
    program of their own.

    Args:
        programs: The piece.
        middle: Its barrier centre, for bounds where no program was solved.
        budget: The most linear programs.
        progress: Called with the number of programs solved and the budget.

    Cost:
        At most ``budget`` linear programs; two a coordinate settle all.
    """
    piece = programs.piece
    seen = np.array([piece.origin, *programs.points])
    found = np.concatenate([-seen.min(0), seen.max(0)])
    bound = np.concatenate([-programs.low, programs.high])
    if middle is not None:
        bound = np.minimum(bound, _by_ellipsoid(programs, middle))
    n = piece.origin.size
    done = _closed(found, bound)
    for count in range(budget):
        if done.all():
            break
        gap = np.full(2 * n, -np.inf)
        gap[~done] = bound[~done] - found[~done]
        place = int(np.argmax(gap))
        direction = np.zeros(n)
        direction[place % n] = -1.0 if place < n else 1.0
        reach = programs.furthest(direction)
        done[place] = True
        bound[place] = min(bound[place], reach.bound)
        if np.isfinite(reach.found):
            found = np.maximum(found, np.concatenate([-reach.point, reach.point]))
        found[place] = reach.found
        done |= _closed(found, bound)
        if progress is not None:
            progress(count + 1, budget)
    return Ranges(
        low_bound=torch.from_numpy(-bound[:n]),
        low_found=torch.from_numpy(-found[:n]),
        high_found=torch.from_numpy(found[n:]),
        high_bound=torch.from_numpy(bound[n:]),
        complete=torch.from_numpy(done[:n] & done[n:]),
    )


def _closed(found: Array, bound: Array) -> NDArray[np.bool_]:
    """Tell where nothing is left between a point found and a bound."""
    return np.isfinite(found) & (bound <= found + 1e-9 * (1 + np.abs(found)))


def _by_ellipsoid(programs: Programs, middle: BarrierCentre) -> Array:
    """Return bounds on minus and plus every coordinate from the outer ellipsoid."""
    piece = programs.piece
    basis = piece.basis
    half = solve(middle.hessian, basis.T, assume_a="pos")
    reach = middle.outer * np.sqrt(np.maximum((basis * half.T).sum(1), 0.0))
    reach = reach * (1 + 1e-7) + 1e-12 * (middle.reach + np.abs(piece.origin))
    centre = piece.origin + basis @ middle.centre
    return np.concatenate([reach - centre, reach + centre])
