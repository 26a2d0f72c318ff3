"""The sensitivity matrix of a model with loops, by one linear solve."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import lu_factor, lu_solve
from scipy.sparse import csc_array, csr_array, diags_array, eye_array
from scipy.sparse.linalg import splu
from torch import Tensor

from relulens.bounds.rounding import gamma
from relulens.errors import NotWellPosedError, OffendingNode, UnboundedError
from relulens.graph.linear_map import BYTE_LIMIT
from relulens.implicit.activation import StateBlock
from relulens.implicit.gain_matrix import DENSE
from relulens.implicit.model import ImplicitModel


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LoopSensitivity:
    """S of a model with loops, and what it rests on.

    Attributes:
        matrix: S [q, p], rounded upwards.
        rounding: Largest relative part of an entry that rounding upwards may have made.
        sharpened: Whether negative entries on the diagonal of A were used.
        weights: w > 0 [n] with ``P^T w < w``, which proves that S is finite.
    """

    matrix: Tensor
    rounding: float
    sharpened: bool
    weights: Tensor


class _Solve:
    """Solves with the transpose of ``I - P``; dense for small states, else sparse."""

    def __init__(self, P: csr_array) -> None:
        size = P.shape[0]
        self._dense = size <= DENSE
        if self._dense:
            self._factors = lu_factor(np.eye(size) - P.toarray())
        else:
            self._splu = splu(csc_array(eye_array(size) - P))

    def transposed(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the solution [n, k] for right-hand sides [n, k]."""
        if self._dense:
            return lu_solve(self._factors, right, trans=1)
        return self._splu.solve(right, trans="T")


def loop_sensitivity(model: ImplicitModel) -> LoopSensitivity:
    """Return ``|C| (I - P)^-1 Γ |B| + |D|`` rounded upwards, with P = Γ |A|.

    What is left of the residual of the transposed system is carried by the vector that
    certifies P, so that the result is an upper bound whatever the solver did.

    Raises:
        UnboundedError: An operation has no finite gain.
        NotWellPosedError: P is not certified to have an eigenvalue below one.
    """
    wide = model.to(torch.float64, torch.device("cpu"))
    gain, without = wide.phi.gains()
    if gain is None:
        raise UnboundedError("the sensitivity", [_offending(item) for item in without])
    A = csr_array(wide.A.to_sparse(limit=BYTE_LIMIT))
    spread = csr_array(gain.to_sparse())
    share = gamma(int(np.diff(spread.indptr).max(initial=0)))
    P = csr_array(spread @ abs(A)) * (1 + share)
    sharpened = wide.n > 0 and _contracts_monotonely(wide) and (A.diagonal() < 0).any()
    if sharpened:
        P = csr_array(P + diags_array(A.diagonal() - P.diagonal()))
    outer = abs(wide.C.to_sparse()).toarray().T
    upper, weights = upper_solution(P, outer)
    matrix = (spread.T @ upper).T @ abs(wide.B.to_sparse())
    matrix = np.asarray(matrix) + abs(wide.D.to_sparse()).toarray()
    share = gamma(2 * (wide.n + wide.m) + 8)
    return LoopSensitivity(
        matrix=torch.from_numpy(np.ascontiguousarray(matrix * (1 + share))),
        rounding=2 * share,
        sharpened=bool(sharpened),
        weights=torch.from_numpy(weights),
    )


def _offending(block: StateBlock) -> OffendingNode:
    return OffendingNode(
        name=block.name, operation=block.kind, reason="no finite gain anywhere"
    )


def _contracts_monotonely(model: ImplicitModel) -> bool:
    """Tell whether every operation is elementwise with a slope between 0 and 1."""
    slopes = model.phi.slopes()
    if slopes is None or not model.phi.elementwise:
        return False
    return bool((slopes[0] >= 0).all()) and bool((slopes[1] <= 1).all())


def upper_solution(
    P: csr_array, right: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return at least ``(I - P^T)^-1 right``, and the vector that certifies P.

    Raises:
        NotWellPosedError: No such vector was found.
    """
    size = P.shape[0]
    if size == 0:
        return right, np.ones(0)
    transposed = csr_array(P.T)
    share = gamma(int(np.diff(transposed.indptr).max(initial=0)) + 2)
    solve = _Solve(P)
    weights = np.abs(solve.transposed(np.ones((size, 1))))
    magnitude = abs(transposed)
    room = share * (magnitude @ weights + weights)
    margin = weights - transposed @ weights - room
    if not (np.isfinite(weights).all() and (margin > 0).all()):
        radius = float((transposed @ weights / weights).max())
        raise NotWellPosedError(
            "bound the sensitivity of the model",
            radius,
            "Scale A down, or project its rows; wellposedness(model) says more.",
        )
    found = np.maximum(solve.transposed(right), 0.0)
    left = np.abs(right - found + transposed @ found)
    left = left + share * (right + found + magnitude @ found)
    carried = (left / margin).max(0, initial=0.0) * (1 + 1e-12)
    return found + weights * carried, weights[:, 0]
