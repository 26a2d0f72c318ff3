"""Whether a model has exactly one equilibrium for every input, with a proof."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_array
from torch import Tensor

from relulens.certificates.contraction import (
    Contraction,
    carried_change,
    carried_factor,
)
from relulens.certificates.equilibria import TwoEquilibria
from relulens.certificates.monotone import DiagonalLyapunov, MetzlerBound, PMatrix
from relulens.certificates.triangular import BlockOrder, EntryOrder
from relulens.errors import OffendingNode, UnboundedError
from relulens.graph.domain import Box, as_box
from relulens.graph.maps.block_matrix import BlockMatrix
from relulens.implicit.gain_matrix import gain_matrix
from relulens.implicit.model import ImplicitModel, as_model
from relulens.implicit.monotone import monotone_certificate
from relulens.implicit.perron import Perron, perron, weights
from relulens.implicit.state_box import state_box
from relulens.implicit.triangular import block_order, blocks_in_loops, entry_order
from relulens.implicit.witness import two_equilibria

Verdict: TypeAlias = Literal["well-posed", "not well-posed", "undecided"]
Method: TypeAlias = Literal[
    "triangular",
    "norm",
    "perron-frobenius",
    "metzler",
    "monotone",
    "p-matrix",
    "two equilibria",
    "none",
]
Certificate: TypeAlias = (
    BlockOrder
    | EntryOrder
    | Contraction
    | MetzlerBound
    | DiagonalLyapunov
    | PMatrix
    | TwoEquilibria
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WellPosedness:
    """Whether ``x = phi(A x + b)`` has exactly one solution for every b.

    Attributes:
        verdict: ``"well-posed"``, ``"not well-posed"`` or ``"undecided"``.
        method: What settled it; ``"none"`` if nothing did.
        vector: The certificate's vector v > 0, ``Γ |A| v <= contraction v``; or nothing
            where the proof is of another kind.
        contraction: The factor, below 1; 0 for a model without loops, nothing where
            ``x -> phi(A x + b)`` is not known to contract.
        bracket: Bounds on the largest eigenvalue of ``Γ |A|``, up to rounding; nothing
            where no method needed it.
        certificate: The proof, with ``verify()``; nothing if undecided.
        domain: The inputs that the verdict is about; nothing for every b.
        reason: What was found, and for an undecided model what would settle it.
    """

    verdict: Verdict
    method: Method
    vector: Float[Tensor, " n"] | None
    contraction: float | None
    bracket: tuple[float, float] | None
    certificate: Certificate | None
    domain: Box | None = None
    reason: str = field(default="")

    def __repr__(self) -> str:
        """Return the verdict on one line."""
        factor = "" if self.contraction is None else f", factor {self.contraction:.6g}"
        return f"WellPosedness({self.verdict}, by {self.method}{factor})"


def wellposedness(
    model: ImplicitModel, /, *, domain: Box | None = None
) -> WellPosedness:
    """Return whether a model has exactly one equilibrium for every input.

    Proofs are tried from the cheapest: no loops (an order of blocks, then of entries);
    row sums of ``Γ |A|`` below 1; its largest eigenvalue below 1 (Perron and
    Frobenius); and for elementwise phi with slopes in [0, h] the same with A's diagonal
    signed (Metzler), a diagonal Λ with ``Λ (I - A) + (I - A)^T Λ`` positive definite,
    and for at most 15 entries that ``I - A`` is a P-matrix, which is exact for ReLU. A
    ReLU model is shown not to be well-posed by two equilibria of one input.

    Args:
        model: The model.
        domain: Inputs [p] or of the input's shape; needed where a gain is finite only
            on a box, as for a product. The verdict is then about these inputs.

    Returns:
        The verdict with its proof; ``certificate.verify()`` checks it with rounding.

    Raises:
        UnboundedError: A block has no finite gain, and its blocks form loops; give a
            ``domain`` on which the state is bounded.
        InvalidArgumentError: It is no implicit model, or the domain is no box or has
            not the input's shape.

    Cost:
        Nothing for models without loops; else a few hundred products with ``|A|`` and
        one linear solve, and an eigenvalue decomposition a turn for a diagonal Λ.

    Example:
        >>> model = ImplicitModel([[0.0, 0.5], [0.5, 0.0]], [[1.0], [0.0]], [[1, 1]])
        >>> wellposedness(model)
        WellPosedness(well-posed, by norm, factor 0.5)
    """
    model = as_model(model, verb="test the well-posedness of")
    if domain is None:
        return model.remembered("wellposedness", lambda: _settled(model, None))
    return _settled(model, as_box(domain))


def _settled(model: ImplicitModel, domain: Box | None) -> WellPosedness:
    order = block_order(model)
    if order is not None:
        return _no_loops(order)
    gain = _gain(model, domain)
    levels = entry_order(model)
    if levels is not None:
        return _no_loops(levels)
    matrix = gain_matrix(model, gain)
    found = _by_norm(model, gain, matrix, domain)
    if found is not None:
        return found
    bracket = perron(matrix)
    found = _by_eigenvalue(model, gain, matrix, bracket, domain)
    if found is not None:
        return found
    return _beyond_contraction(model, bracket, domain)


def _no_loops(order: BlockOrder | EntryOrder) -> WellPosedness:
    what = "blocks" if isinstance(order, BlockOrder) else "entries"
    return WellPosedness(
        verdict="well-posed",
        method="triangular",
        vector=None,
        contraction=0.0,
        bracket=(0.0, 0.0),
        certificate=order,
        reason=f"the {what} of the state have an order in which none reads itself",
    )


def _gain(model: ImplicitModel, domain: Box | None) -> BlockMatrix:
    boxes = None if domain is None else state_box(model, domain)
    gain, without = model.phi.gains(
        None if boxes is None else boxes.arguments, blocks=blocks_in_loops(model)
    )
    if gain is not None:
        return gain
    offending = [
        OffendingNode(
            name=block.name,
            operation=block.kind,
            reason="no finite gain without domain=Box(low, high) of the inputs"
            if domain is None
            else "no finite gain on the box that the domain gives its arguments",
        )
        for block in without
    ]
    raise UnboundedError("the model's gain", offending)


def _proved(
    certificate: Contraction,
    method: Method,
    bracket: tuple[float, float] | None,
    domain: Box | None,
    reason: str,
) -> WellPosedness:
    return WellPosedness(
        verdict="well-posed",
        method=method,
        vector=certificate.vector,
        contraction=certificate.factor,
        bracket=bracket,
        certificate=certificate,
        domain=domain,
        reason=reason,
    )


def _contraction(
    model: ImplicitModel, gain: BlockMatrix, vector: np.ndarray
) -> Contraction | None:
    """Return the certificate that a vector gives, or nothing if its factor is 1."""
    factor = carried_factor(carried_change(model.A, gain, vector), vector)
    if not factor < 1:
        return None
    return Contraction(
        A=model.A, gain=gain, vector=torch.from_numpy(vector), factor=factor
    )


def _by_norm(
    model: ImplicitModel,
    gain: BlockMatrix,
    matrix: np.ndarray | csr_array,
    domain: Box | None,
) -> WellPosedness | None:
    largest = float(np.asarray(matrix.sum(1)).max(initial=0.0))
    if not largest < 1:
        return None
    proof = _contraction(model, gain, np.ones(model.n))
    if proof is None:
        return None
    reason = f"the largest row sum of the gains is {largest:.6g}, below 1"
    return _proved(proof, "norm", None, domain, reason)


def _by_eigenvalue(
    model: ImplicitModel,
    gain: BlockMatrix,
    matrix: np.ndarray | csr_array,
    bracket: Perron,
    domain: Box | None,
) -> WellPosedness | None:
    if not bracket.low < 1:
        return None
    start = bracket.high if bracket.high < 1 else bracket.low
    for share in (0.02, 0.2, 0.6, 0.9):
        vector = weights(matrix, start + share * (1 - start))
        largest = 1.0 if vector is None else float(vector.max(initial=0.0))
        proof = None if vector is None else _contraction(model, gain, vector / largest)
        if proof is not None:
            reason = (
                "the largest eigenvalue of the gains is between"
                f" {bracket.low:.6g} and {min(bracket.high, proof.factor):.6g}, below 1"
            )
            ends = (bracket.low, min(bracket.high, proof.factor))
            return _proved(proof, "perron-frobenius", ends, domain, reason)
    return None


def _beyond_contraction(
    model: ImplicitModel, bracket: Perron, domain: Box | None
) -> WellPosedness:
    ends = (bracket.low, bracket.high)
    tries: tuple[Callable[[], WellPosedness | None], ...] = (
        lambda: _monotone(model, ends),
        lambda: _refuted(model, bracket),
    )
    for attempt in tries:
        found = attempt()
        if found is not None:
            return found
    between = f"between {bracket.low:.6g} and {bracket.high:.6g}"
    scale = 0.95 / max(bracket.high, 1e-300)
    return WellPosedness(
        verdict="undecided",
        method="none",
        vector=None,
        contraction=None,
        bracket=ends,
        certificate=None,
        domain=domain,
        reason=f"the largest eigenvalue of the gains is {between}, not below 1, and no"
        f" other proof was found. A times {scale:.3g} would be well-posed"
        + (", or give a smaller domain" if domain is not None else ""),
    )


def _monotone(
    model: ImplicitModel, bracket: tuple[float, float]
) -> WellPosedness | None:
    found = monotone_certificate(model)
    if found is None:
        return None
    method: Method = "p-matrix"
    if isinstance(found, MetzlerBound):
        method = "metzler"
    elif isinstance(found, DiagonalLyapunov):
        method = "monotone"
    return WellPosedness(
        verdict="well-posed",
        method=method,
        vector=found.vector if isinstance(found, MetzlerBound) else None,
        contraction=None,
        bracket=bracket,
        certificate=found,
        reason=found.verify().reason,
    )


def _refuted(model: ImplicitModel, bracket: Perron) -> WellPosedness | None:
    found = two_equilibria(model, bracket.vector)
    if found is None:
        return None
    return WellPosedness(
        verdict="not well-posed",
        method="two equilibria",
        vector=None,
        contraction=None,
        bracket=(bracket.low, bracket.high),
        certificate=found,
        reason="one input has two equilibria; scale A, or change the entries that the"
        " witness names",
    )
