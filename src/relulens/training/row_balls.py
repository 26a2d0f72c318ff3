"""Rows of weights kept inside weighted l1 balls."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx

from relulens.errors import InvalidArgumentError, NotFiniteError


def project_rows(
    matrix: Float[Tensor, "rows columns"],
    radius: float | Float[Tensor, " rows"],
    *,
    weights: Float[Tensor, " columns"] | None = None,
) -> Float[Tensor, "rows columns"]:
    r"""Return the nearest matrix with rows in weighted l1 balls.

    The Euclidean projection of each row onto :math:`\sum_j w_j |a_j| \le r_i`: soft
    thresholding by :math:`\tau_i w_j`. Thresholds are found in float64; what comes back
    satisfies the inequality in exact arithmetic but for terms of order 1e-30, in the
    type of ``matrix``, and a row inside its ball comes back as it is. Gradients are
    those of the projection, with the thresholds differentiated.

    Args:
        matrix: Any matrix.
        radius: Radius of the balls, positive; one number, or one a row.
        weights: Weights of the columns, nonnegative, ones by default; a column of
            weight 0 is not constrained and stays.

    Raises:
        InvalidArgumentError: A radius is not positive, or a weight is negative.
        NotFiniteError: A coefficient is NaN or infinite.

    Cost:
        A few passes over the matrix, compiled on first use; no sorting. On another
        device than the CPU the matrix is copied there and back.
    """
    rows, columns = matrix.shape
    radii = torch.as_tensor(radius, dtype=torch.float64).detach().cpu().expand(rows)
    wide = (
        torch.ones(columns, dtype=torch.float64)
        if weights is None
        else weights.detach().to("cpu", torch.float64)
    )
    _check(radii, wide, columns)
    if not bool(torch.isfinite(matrix.detach()).all()):
        bad = int((~torch.isfinite(matrix.detach())).sum())
        raise NotFiniteError(
            f"cannot project rows: {bad} of {matrix.numel()} coefficients are NaN or"
            " infinite. Lower the step, or restore the last finite weights."
        )
    projected: Tensor = _Projection.apply(matrix, radii, wide)
    return projected


def _check(radii: Tensor, weights: Tensor, columns: int) -> None:
    least = float(radii.min()) if radii.numel() else 1.0
    lightest = float(weights.min()) if columns else 1.0
    finite = bool(torch.isfinite(weights).all()) and not bool(radii.isnan().any())
    if not (least > 0 and lightest >= 0 and finite):
        raise InvalidArgumentError(
            f"cannot project rows: the least radius is {least} and the least weight"
            f" {lightest}; a radius must exceed 0 and a weight be a number not below 0."
        )
    if tuple(weights.shape) != (columns,):
        raise InvalidArgumentError(
            f"cannot project rows: there are {list(weights.shape)} weights and"
            f" {columns} columns. Give one weight a column."
        )


def towards_zero(value: Tensor, dtype: torch.dtype) -> Tensor:
    """Return float64 numbers in another type, rounded towards zero."""
    rounded = value.to(dtype)
    grown = rounded.to(torch.float64).abs() > value.abs()
    return torch.where(grown, torch.nextafter(rounded, rounded.new_zeros(())), rounded)


class _Projection(torch.autograd.Function):
    """The projection with its exact Jacobian where it is differentiable."""

    @staticmethod
    # pyrefly: ignore[bad-override, missing-override-decorator]
    def forward(
        ctx: FunctionCtx, matrix: Tensor, radii: Tensor, weights: Tensor
    ) -> Tensor:
        """Project in float64 and keep what the Jacobian needs."""
        # numba takes longer to load than everything else here, and not all need it.
        from relulens.numerics.kernels.row_balls import project_rows_in_place

        wide = np.array(matrix.detach().cpu().numpy(), dtype=np.float64, order="C")
        found = project_rows_in_place(
            wide, np.ascontiguousarray(weights.numpy()), radii.contiguous().numpy()
        )
        moved = torch.from_numpy(found > 0)
        result = towards_zero(torch.from_numpy(wide), matrix.dtype).to(matrix.device)
        result[~moved.to(matrix.device)] = matrix.detach()[~moved.to(matrix.device)]
        ctx.save_for_backward(result, moved, weights)
        return result

    @staticmethod
    # pyrefly: ignore[missing-override-decorator]
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor, None, None]:
        """Return the transposed Jacobian's value: it is symmetric."""
        result, moved, weights = ctx.saved_tensors  # pyrefly: ignore[missing-attribute]
        grad = grads[0]
        scale = weights.to(grad.device, grad.dtype)
        kept = (result != 0) | (scale == 0)
        sign = torch.sign(result) * scale
        along = (sign * grad).sum(1) / sign.square().sum(1).clamp(min=1e-300)
        inner = torch.where(kept, grad - along[:, None] * sign, torch.zeros_like(grad))
        return torch.where(moved.to(grad.device)[:, None], inner, grad), None, None
