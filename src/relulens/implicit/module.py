"""A model as a torch module that trains."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from relulens.certificates.triangular import BlockOrder
from relulens.graph.linear_map import BYTE_LIMIT, LinearMap, check_bytes
from relulens.graph.maps import (
    Added,
    Adjoint,
    AlongAxis,
    Arrow,
    Composed,
    Convolution,
    Diagram,
    SparseMatrix,
)
from relulens.graph.maps.block_matrix import BlockMatrix
from relulens.implicit.iteration import solved
from relulens.implicit.model import ImplicitModel, as_model
from relulens.implicit.triangular import block_order


class ImplicitModule(nn.Module):
    """A model whose coefficients are parameters; made by ``to_torch``.

    Attributes:
        coefficients: Dense matrices, kernels of convolutions and biases, in order.
        tolerance: Relative error at which the loops stop, forward and backward.
        turns: Most turns of either.
    """

    def __init__(
        self, model: ImplicitModel, *, tolerance: float = 1e-6, turns: int = 5000
    ) -> None:
        super().__init__()
        taken: list[Tensor] = []

        def take(leaf: Tensor) -> Tensor:
            taken.append(leaf.detach().clone())
            return leaf

        matrices = {k: _plain(getattr(model, k), model.dtype) for k in "ABCD"}
        for matrix in matrices.values():
            _rebuilt(matrix, take)
        taken += [model.a.detach().clone(), model.d.detach().clone()]
        self.coefficients = nn.ParameterList(nn.Parameter(leaf) for leaf in taken)
        self.tolerance, self.turns = tolerance, turns
        self._template = model
        self._matrices = matrices
        self._order: BlockOrder | None = block_order(model)

    def model(self) -> ImplicitModel:
        """Return the model with the coefficients as they are now, detached."""
        return self._made(lambda leaf: leaf.detach().clone())

    # pyrefly: ignore[missing-override-decorator]
    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs [N, *output_shape] for inputs [N, *input_shape].

        Raises:
            NotConvergedError: The loops did not settle; the model may not be
                well-posed any more.
        """
        matrices, a, d = self._current(lambda leaf: leaf)
        u = x.reshape(x.shape[0], self._template.p)
        base = matrices["B"].apply(u) + a
        if self._order is not None:
            state = self._in_order(matrices["A"], base, self._order)
        else:
            state = self._settled(matrices["A"], base)
        output = matrices["C"].apply(state) + d
        if matrices["D"].blocks:
            output = output + matrices["D"].apply(u)
        return output.reshape(x.shape[0], *self._template.output_shape)

    def _current(
        self, use: Callable[[Tensor], Tensor]
    ) -> tuple[dict[str, BlockMatrix], Tensor, Tensor]:
        leaves = iter(self.coefficients)
        made = {
            key: _rebuilt(matrix, lambda _: use(next(leaves)))
            for key, matrix in self._matrices.items()
        }
        return made, use(next(leaves)), use(next(leaves))

    def _made(self, use: Callable[[Tensor], Tensor]) -> ImplicitModel:
        made, a, d = self._current(use)
        old = self._template
        return ImplicitModel(
            made["A"],
            made["B"],
            made["C"],
            made["D"],
            old.phi,
            a,
            d,
            domain=old.domain,
            input_shape=old.input_shape,
            output_shape=old.output_shape,
        )

    def _in_order(self, A: BlockMatrix, base: Tensor, order: BlockOrder) -> Tensor:
        """Return the state of a model without loops, block by block."""
        phi = self._template.phi
        values: dict[int, Tensor] = {}
        rows = [i for i, _ in enumerate(phi.owners)]
        for place in sorted(range(len(phi.blocks)), key=lambda i: order.order[i]):
            block = phi.blocks[place]
            own = [row for row in rows if phi.owners[row] == place]
            read: list[Tensor] = []
            for row, argument in zip(own, block.arguments, strict=True):
                total = base[:, argument.start : argument.stop]
                for (i, j), part in A.blocks.items():
                    if i == row:
                        given = values[j].reshape(base.shape[0], *part.in_shape)
                        total = total + part.apply(given).flatten(1)
                read.append(total.reshape(base.shape[0], *argument.shape))
            values[place] = block.value(*read).flatten(1)
        if not values:
            return base.new_zeros((base.shape[0], 0))
        return torch.cat([values[i] for i in range(len(phi.blocks))], 1)

    def _settled(self, A: BlockMatrix, base: Tensor) -> Tensor:
        """Return the state of a model with loops; gradients by the implicit theorem."""
        phi = self._template.phi
        with torch.no_grad():
            start = phi.value(base)
            state = solved(
                lambda x: phi.value(A.apply(x) + base),
                start,
                self.tolerance,
                self.turns,
                fresh=True,
            )
        if not torch.is_grad_enabled():
            return state
        point = state.detach().requires_grad_()
        ahead = phi.value(A.apply(point) + base.detach())

        def pulled(weights: Tensor) -> Tensor:
            def turn(v: Tensor) -> Tensor:
                (back,) = torch.autograd.grad(ahead, point, v, retain_graph=True)
                return back + weights

            return solved(turn, weights, self.tolerance, self.turns, fresh=True)

        attached = phi.value(A.apply(state) + base)
        if attached.requires_grad:
            attached.register_hook(pulled)
        return attached


def to_torch(
    model: ImplicitModel, /, *, tolerance: float = 1e-6, turns: int = 5000
) -> ImplicitModule:
    """Return a module that computes what the model does, and trains.

    Dense matrices, kernels of convolutions, sparse matrices (made dense, their zeros
    trainable) and biases are parameters; scales, averages and other fixed maps stay. A
    model without loops is evaluated block by block; one with loops by fixed-point
    iteration, with gradients by the implicit function theorem.

    Args:
        model: The model; nothing in it is changed by training.
        tolerance: Relative error at which the loops stop, forward and backward; an
            estimate, where ``equilibrium`` certifies.
        turns: Most turns of either.

    Returns:
        The module; its ``model()`` is the trained model.

    Raises:
        InvalidArgumentError: It is no implicit model.
        MemoryLimitError: A sparse matrix is too large to be made dense.
    """
    model = as_model(model, verb="make a module of")
    return ImplicitModule(model, tolerance=tolerance, turns=turns)


def _plain(matrix: BlockMatrix, dtype: torch.dtype) -> BlockMatrix:
    """Return the matrix with sparse blocks made dense."""
    blocks: dict[tuple[int, int], LinearMap] = {}
    for key, part in matrix.blocks.items():
        if isinstance(part, SparseMatrix):
            needed = 8 * part.in_size * part.out_size
            advice = "Train the network that the model came from."
            check_bytes("a trainable dense matrix", needed, BYTE_LIMIT, advice)
            blocks[key] = AlongAxis(part.to_dense().to(dtype), (part.in_size,), 0)
        else:
            blocks[key] = part
    return BlockMatrix(blocks, matrix.row_offsets, matrix.column_offsets)


def _rebuilt(matrix: BlockMatrix, take: Callable[[Tensor], Tensor]) -> BlockMatrix:
    """Return a matrix with its trainable coefficients replaced."""
    found = {key: _with_leaves(part, take) for key, part in matrix.blocks.items()}
    return BlockMatrix(found, matrix.row_offsets, matrix.column_offsets)


def _with_leaves(map_: LinearMap, take: Callable[[Tensor], Tensor]) -> LinearMap:
    """Return a map with its trainable coefficients replaced, in a fixed order."""
    match map_:
        case AlongAxis(matrix=matrix):
            return replace(map_, matrix=take(matrix))
        case Convolution(weight=weight):
            return replace(map_, weight=take(weight))
        case Adjoint(map=inner):
            return Adjoint(_with_leaves(inner, take))
        case Composed(maps=maps):
            return Composed(tuple(_with_leaves(part, take) for part in maps))
        case Added(maps=maps):
            return Added(tuple(_with_leaves(part, take) for part in maps))
        case Diagram(arrows=arrows):
            return Diagram(
                tuple(
                    Arrow(arrow.source, arrow.target, _with_leaves(arrow.map, take))
                    for arrow in arrows
                )
            )
        case BlockMatrix():
            return _rebuilt(map_, take)
        case _:
            return map_
