"""An input from a ReLU layer's features, where its active rows determine it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import svd
from torch import Tensor

from relulens.certificates.rounding import Array
from relulens.errors import InvalidArgumentError, NotFiniteError
from relulens.graph.tolerances import Tolerances


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FrameReconstruction:
    """What the active rows say about the input.

    Attributes:
        x: The input [n]; nothing if the active rows do not determine one with these
            features.
        active: Number of positive features.
        rank: Rank of their rows.
        smallest: Smallest singular value of these rows, the rate at which errors of
            features grow; 0 where the rank is short.
        residual: Largest difference of the features given and those of the solution.
        reason: In words.
    """

    x: Float[Tensor, " n"] | None
    active: int
    rank: int
    smallest: float
    residual: float
    reason: str


def frame_reconstruction(
    W: object,
    bias: object,
    features: object,
    /,
    *,
    tol: Tolerances | None = None,
) -> list[FrameReconstruction]:
    """Return the input that gives features of ``relu(W x + bias)``, or why not.

    Args:
        W: Rows [m, n].
        bias: Constant parts [m].
        features: Features [N, m].
        tol: ``tol.rank`` decides the rank; features agree up to ``tol.feasible`` times
            the largest of them.

    Returns:
        One result a row of ``features``, never an input that does not give them.

    Raises:
        InvalidArgumentError: The shapes do not fit.
        NotFiniteError: A number is NaN or infinite.

    Cost:
        One singular value decomposition of the active rows each.

    Example:
        >>> frame_reconstruction([[1.0], [-1.0]], [0.0, 0.0], [[0.0, 2.0]])[0].x
        tensor([-2.], dtype=torch.float64)
    """
    rows, shift, values = (
        torch.as_tensor(v).detach().cpu().to(torch.float64) for v in (W, bias, features)
    )
    if rows.ndim != 2 or shift.shape != rows.shape[:1] or values.ndim != 2:
        raise InvalidArgumentError(
            f"cannot reconstruct: W {list(rows.shape)}, bias {list(shift.shape)} and"
            f" features {list(values.shape)} do not fit. Pass [m, n], [m] and [N, m]."
        )
    if values.shape[1] != rows.shape[0]:
        raise InvalidArgumentError(
            f"cannot reconstruct: {values.shape[1]} features an input were given, and W"
            f" has {rows.shape[0]} rows. Pass one a row."
        )
    if not bool(
        rows.isfinite().all() & shift.isfinite().all() & values.isfinite().all()
    ):
        raise NotFiniteError(
            "cannot reconstruct: 1 or more of the numbers are NaN or infinite. Remove"
            " them."
        )
    settings = tol or Tolerances()
    return [_one(rows.numpy(), shift.numpy(), y, settings) for y in values.numpy()]


def _one(rows: Array, shift: Array, y: Array, tol: Tolerances) -> FrameReconstruction:
    n = rows.shape[1]
    on = y > 0
    if (y < 0).any():
        return _failed(on, 0, f"{int((y < 0).sum())} features are negative")
    left, values, right = svd(rows[on], full_matrices=False)
    rank = int((values > tol.rank * values.max(initial=0.0)).sum())
    if rank < n:
        return _failed(on, rank, f"the active rows have rank {rank} of {n}")
    x = right.T @ ((left.T @ (y[on] - shift[on])) / values)
    residual = float(np.abs(np.maximum(rows @ x + shift, 0.0) - y).max())
    allowed = tol.feasible * float(np.abs(y).max())
    if residual > allowed:
        reason = f"no input gives these features: the nearest misses by {residual:.3g}"
        return _failed(on, rank, reason, float(values[-1]), residual)
    return FrameReconstruction(
        x=torch.from_numpy(x),
        active=int(on.sum()),
        rank=rank,
        smallest=float(values[-1]),
        residual=residual,
        reason="the active rows determine it",
    )


def _failed(
    on: np.ndarray,
    rank: int,
    reason: str,
    smallest: float = 0.0,
    residual: float = float("inf"),
) -> FrameReconstruction:
    return FrameReconstruction(
        x=None,
        active=int(on.sum()),
        rank=rank,
        smallest=smallest,
        residual=residual,
        reason=reason,
    )
