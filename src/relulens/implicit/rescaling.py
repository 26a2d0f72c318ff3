"""The same function with the state in other units, so that A has a norm below 1."""

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.certificates.contraction import Contraction
from relulens.errors import InvalidArgumentError, NotWellPosedError
from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import AlongAxis, Scale, composed
from relulens.graph.maps.block_matrix import BlockMatrix
from relulens.implicit.activation import Activation
from relulens.implicit.block_products import flat_map
from relulens.implicit.model import ImplicitModel, as_model
from relulens.implicit.wellposedness import WellPosedness, wellposedness


def rescaled(model: ImplicitModel, /) -> ImplicitModel:
    """Return the model in units v of the state for which ``|A|`` has row sums below 1.

    With v > 0 from the proof of well-posedness and ``V = diag(v)``: ``V^-1 A V``,
    ``V^-1 B``, ``C V``, the same D, and the same output for every input, since
    ``phi(t z) = t phi(z)`` for t >= 0. With Perron's vector the largest row sum is the
    largest eigenvalue of ``|A|``.

    Raises:
        InvalidArgumentError: phi is not positively homogeneous, or couples entries.
        NotWellPosedError: The model is not known to contract.
    """
    _check_phi(as_model(model, verb="rescale the state of").phi)
    proof = wellposedness(model)
    v = _units(model, proof)
    inverse = 1 / v
    C: dict[tuple[int, int], LinearMap] = {}
    for (i, j), part in model.C.blocks.items():
        C[i, j] = _scaled(part, None, v[slice(*model.C.column_offsets[j : j + 2])])
    A: dict[tuple[int, int], LinearMap] = {}
    for (i, j), part in model.A.blocks.items():
        rows = inverse[slice(*model.A.row_offsets[i : i + 2])]
        A[i, j] = _scaled(part, rows, v[slice(*model.A.column_offsets[j : j + 2])])
    B: dict[tuple[int, int], LinearMap] = {}
    for (i, j), part in model.B.blocks.items():
        B[i, j] = _scaled(part, inverse[slice(*model.B.row_offsets[i : i + 2])], None)
    return ImplicitModel(
        BlockMatrix(A, model.A.row_offsets, model.A.column_offsets),
        BlockMatrix(B, model.B.row_offsets, model.B.column_offsets),
        BlockMatrix(C, model.C.row_offsets, model.C.column_offsets),
        model.D,
        model.phi,
        model.a * inverse,
        model.d,
        domain=model.domain,
        input_shape=model.input_shape,
        output_shape=model.output_shape,
    )


def _check_phi(phi: Activation) -> None:
    wrong = [b for b in phi.blocks if not b.homogeneous]
    if wrong:
        raise InvalidArgumentError(
            f"cannot rescale the state: {wrong[0].kind} at {wrong[0].name!r} is not"
            " positively homogeneous, so that other units change the function. Keep"
            " the weights of wellposedness(model).vector instead."
        )
    if not phi.elementwise:
        raise InvalidArgumentError(
            "cannot rescale the state: a maximum reads entries that would get different"
            " units. Keep the weights of wellposedness(model).vector instead."
        )


def _units(model: ImplicitModel, proof: WellPosedness) -> Float[Tensor, " n"]:
    """Return the proof's vector.

    Raises:
        NotWellPosedError: The proof has none.
    """
    if isinstance(proof.certificate, Contraction):
        return proof.certificate.vector.to(model.device, model.dtype)
    if proof.method == "triangular":
        return _falling(model)
    raise NotWellPosedError(
        "rescale the state",
        proof.bracket[1] if proof.bracket else float("inf"),
        f"The verdict is {proof.verdict!r} by {proof.method}: {proof.reason}.",
        verdict=proof.verdict,
        bracket=proof.bracket,
    )


def _falling(model: ImplicitModel) -> Float[Tensor, " n"]:
    """Return v = (I - 2 |A|)^-1 1, finite without loops: row sums are below 1/2."""
    magnitude = model.A.to(torch.float64, model.device).absolute().map
    v = torch.ones((1, model.n), dtype=torch.float64, device=model.device)
    for _ in range(model.n + 1):
        new = 1 + 2 * magnitude.apply(v)
        if bool((new == v).all()):
            break
        v = new
    if not bool(torch.isfinite(v).all()):
        raise InvalidArgumentError(
            "cannot rescale the state: units that make the row sums small overflow."
            " A model without loops needs none."
        )
    return v[0].to(model.dtype)


def _scaled(map_: LinearMap, rows: Tensor | None, columns: Tensor | None) -> LinearMap:
    """Return ``diag(rows) K diag(columns)``."""
    if isinstance(map_, AlongAxis) and len(map_.in_shape) == 1:
        matrix = map_.matrix
        matrix = matrix if columns is None else matrix * columns
        return AlongAxis(
            matrix if rows is None else rows[:, None] * matrix, map_.in_shape, 0
        )
    flat = flat_map(map_)
    before = [] if columns is None else [Scale(columns, (columns.numel(),))]
    after = [] if rows is None else [Scale(rows, (rows.numel(),))]
    return composed(*before, flat, *after)
