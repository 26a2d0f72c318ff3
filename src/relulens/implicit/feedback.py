"""A model whose output is fed back to its input."""

import torch

from relulens.errors import InvalidArgumentError, NotWellPosedError
from relulens.graph.domain import Box, as_box
from relulens.graph.maps import AlongAxis
from relulens.graph.maps.block_matrix import BlockMatrix
from relulens.implicit.block_products import products, total
from relulens.implicit.matrices import as_map
from relulens.implicit.model import ImplicitModel, as_model
from relulens.implicit.wellposedness import wellposedness


def feedback(
    model: ImplicitModel, K: object, /, *, domain: Box | None = None
) -> ImplicitModel:
    """Return the model that reads ``u + K y`` where it read u.

    With ``G = (I - D K)^-1``: ``A + B K G C``, ``B (I + K G D)``, ``G C``, ``G D``.

    Args:
        model: The model in the loop.
        K: Matrix [p, q] from the output to the input.
        domain: Inputs of the closed loop that the proof is about; needed where a gain
            is finite only on a box.

    Returns:
        The closed loop, which is well-posed; ``wellposedness`` has the proof.

    Raises:
        InvalidArgumentError: K is no matrix or has another shape, ``I - D K`` is
            singular, or the model or domain is none.
        UnboundedError: A block of the loop has no finite gain; give a ``domain``.
        NotWellPosedError: The closed loop is not known to have one equilibrium.

    Cost:
        One inverse [q, q] and the proof.
    """
    model = as_model(model, verb="feed back")
    domain = None if domain is None else as_box(domain)
    back = as_map("K", K)
    if (back.out_size, back.in_size) != (model.p, model.q):
        raise InvalidArgumentError(
            f"cannot feed back: K is [{back.out_size}, {back.in_size}], and"
            f" [{model.p}, {model.q}] is needed. Transpose it?"
        )
    K_dense = back.to_dense().to(model.device)
    D = model.D.to_dense().to(model.device)
    eye = torch.eye(model.q, dtype=torch.float64, device=model.device)
    through = eye - D @ K_dense
    singular = float(torch.linalg.svdvals(through)[-1]) if model.q else 1.0
    if not singular > 1e-12 * max(1.0, float(through.abs().sum())):
        raise InvalidArgumentError(
            f"cannot feed back: I - D K has a singular value of {singular:.3g}, and the"
            " output would not be determined. Scale K down."
        )
    G = torch.linalg.inv(through)
    closed = _closed(model, K_dense, G, D)
    proof = wellposedness(closed, domain=domain)
    if proof.verdict != "well-posed":
        raise NotWellPosedError(
            "feed back",
            proof.bracket[1] if proof.bracket else float("inf"),
            f"The verdict is {proof.verdict!r}: {proof.reason}. Scale K down.",
            verdict=proof.verdict,
            bracket=proof.bracket,
        )
    return closed


def _closed(
    model: ImplicitModel, K: torch.Tensor, G: torch.Tensor, D: torch.Tensor
) -> ImplicitModel:
    """Return the closed loop."""

    def one(matrix: torch.Tensor) -> BlockMatrix:
        dense = matrix.to(model.dtype)
        rows, columns = dense.shape
        place = {(0, 0): AlongAxis(dense, (columns,), 0)}
        return BlockMatrix(place, (0, rows), (0, columns))

    eye = torch.eye(model.p, dtype=torch.float64, device=model.device)
    C = model.C
    loop = products(model.B, one(K @ G))
    rows = model.B.row_offsets
    looped = products(BlockMatrix(loop, rows, (0, model.q)), C)
    A = dict(model.A.blocks)
    for key, part in looped.items():
        A[key] = total(A[key], part) if key in A else part
    B = products(model.B, one(eye + K @ G @ D))
    inner = G @ model.d.double()
    shift = (K @ inner).to(model.dtype)
    return ImplicitModel(
        BlockMatrix(A, model.A.row_offsets, model.A.column_offsets),
        BlockMatrix(B, rows, (0, model.p)),
        BlockMatrix(products(one(G), C), (0, model.q), C.column_offsets),
        one(G @ D) if model.D.blocks else None,
        model.phi,
        model.a + model.B.apply(shift[None])[0],
        inner.to(model.dtype),
        domain=None,
        input_shape=model.input_shape,
        output_shape=model.output_shape,
    )
