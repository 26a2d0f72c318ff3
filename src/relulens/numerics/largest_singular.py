"""The largest singular values of a map that is only known by its products."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, LinearOperator, svds

from relulens.errors import SolverError

Product: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class _Products(LinearOperator):
    """A matrix as scipy wants it, from products with single columns."""

    def __init__(
        self, forward: Product, backward: Product, shape: tuple[int, int]
    ) -> None:
        self._forward, self._backward = forward, backward
        super().__init__(dtype=np.dtype(np.float64), shape=shape)

    def _matvec(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._forward(x.reshape(-1, 1)).ravel()

    def _rmatvec(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._backward(x.reshape(-1, 1)).ravel()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Largest:
    """The largest singular values found, descending.

    Attributes:
        values: The values.
        residual: For each one a radius: some singular value is that near to it.
    """

    values: Float[NDArray[np.float64], " k"]
    residual: Float[NDArray[np.float64], " k"]


def largest_singular(
    forward: Product,
    backward: Product,
    shape: tuple[int, int],
    k: int,
    *,
    seed: int = 0,
) -> Largest:
    """Return the ``k`` largest singular values by the Lanczos method.

    Args:
        forward: The matrix times columns [n, j].
        backward: The transposed matrix times columns [m, j].
        shape: ``(m, n)``.
        k: How many, below the smaller of the two.
        seed: Of the starting vector.

    Returns:
        The values, each with the norm of its residual: with unit vectors ``u`` and
        ``v`` and ``A v = s u`` it is ``|A^T u - s v|``; a singular value is that near.

    Raises:
        SolverError: The iteration did not converge.
    """
    operator = _Products(forward, backward, shape)
    generator = np.random.default_rng(seed)
    if not forward(generator.standard_normal((shape[1], 2))).any():
        # Zero along random directions: a zero matrix, which Lanczos cannot start on.
        return Largest(values=np.zeros(k), residual=np.zeros(k))
    try:
        _, _, right = svds(operator, k=k, v0=generator.standard_normal(min(shape)))
    except ArpackError as error:
        raise SolverError(
            f"cannot find the {k} largest singular values of a map {shape}: {error}."
            " Ask for fewer, or for all of them."
        ) from error
    vectors = np.ascontiguousarray(right.T)
    image = forward(vectors)
    order = np.argsort(np.linalg.norm(image, axis=0))[::-1]
    vectors, image = vectors[:, order], image[:, order]
    values = np.linalg.norm(image, axis=0)
    unit = image / np.where(values > 0, values, 1.0)
    residual = np.linalg.norm(backward(unit) - values * vectors, axis=0)
    return Largest(values=values, residual=residual)
