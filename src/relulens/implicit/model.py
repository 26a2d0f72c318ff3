"""The implicit model: any network, loops included, as one equation."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError, NotFiniteError, ShapeError
from relulens.graph.arrays import tensor_of
from relulens.graph.domain import Box, as_box
from relulens.graph.linear_map import Shape
from relulens.graph.maps import AlongAxis
from relulens.graph.maps.block_matrix import BlockMatrix
from relulens.implicit.activation import Activation
from relulens.implicit.matrices import MatrixLike, as_block_matrix, as_real, on_grid
from relulens.implicit.phi import PhiLike, as_activation

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, eq=False, init=False)
class ImplicitModel:
    """``x = phi(A x + B u + a)``, ``y = C x + D u + d`` for an input u.

    Args:
        A: Matrix [m, n] from the state to the arguments of phi; m = n for elementwise
            operations. An array, a scipy sparse matrix, a ``LinearMap``, or a table of
            blocks of these with None for zeros.
        B: Matrix [m, p] from the input to the arguments.
        C: Matrix [q, n] from the state to the output.
        D: Matrix [q, p] from the input to the output; nothing for zeros.
        phi: A name such as ``"relu"``, ``"tanh"``, ``"silu"`` or ``"softmax"``, a
            ``SmoothFunction``, a nonlinear node, or one of these a block of A.
        a: Constant part of the arguments [m].
        d: Constant part of the output [q].

    Attributes:
        A: The matrix by blocks of arguments and of the state, as the others are.
        phi: The operations, block by block, with their names and sizes.
        domain: The inputs that the model is meant for, if known.
        input_shape: Shape of one input, without the batch axis.
        output_shape: Shape of one output, without the batch axis.

    Raises:
        InvalidArgumentError: The four matrices do not fit together or are none, or phi
            is unknown.
        NotFiniteError: A coefficient is NaN or infinite.

    Example:
        >>> model = ImplicitModel([[0.5]], [[1.0]], [[2.0]], [[0.0]], "relu")
        >>> model.n, model.p, model.q
        (1, 1, 1)
    """

    A: BlockMatrix
    B: BlockMatrix
    C: BlockMatrix
    D: BlockMatrix
    phi: Activation
    a: Tensor
    d: Tensor
    domain: Box | None
    input_shape: Shape
    output_shape: Shape
    _known: dict[str, object] = field(repr=False)

    def __init__(
        self,
        A: MatrixLike,
        B: MatrixLike,
        C: MatrixLike,
        D: MatrixLike | None = None,
        phi: PhiLike = "relu",
        a: object | None = None,
        d: object | None = None,
        *,
        domain: Box | None = None,
        input_shape: Shape | None = None,
        output_shape: Shape | None = None,
    ) -> None:
        made = {k: as_block_matrix(k, v) for k, v in zip("ABC", (A, B, C), strict=True)}
        p, q = made["B"].in_size, made["C"].out_size
        empty = BlockMatrix({}, (0, q), (0, p))
        made["D"] = empty if D is None else as_block_matrix("D", D)
        columns = made["A"].column_offsets
        sizes = [int(size) for size in np.diff(columns)]
        operations = as_activation(phi, sizes)
        _check_shapes(made, operations)
        rows, states = operations.argument_offsets, operations.state_offsets
        put = object.__setattr__
        put(self, "A", on_grid(made["A"], rows, states))
        put(self, "B", on_grid(made["B"], rows, (0, p)))
        put(self, "C", on_grid(made["C"], (0, q), states))
        put(self, "D", on_grid(made["D"], (0, q), (0, p)))
        dtype, device = _common_type((A, B, C, D, a, d), made)
        put(self, "phi", operations.to(dtype, device))
        put(self, "a", _vector("a", a, operations.m, dtype, device))
        put(self, "d", _vector("d", d, q, dtype, device))
        put(self, "domain", None if domain is None else as_box(domain))
        put(self, "input_shape", _shape("input_shape", input_shape, p))
        put(self, "output_shape", _shape("output_shape", output_shape, q))
        put(self, "_known", {})

    @property
    def n(self) -> int:
        """Entries of the state."""
        return self.A.in_size

    @property
    def m(self) -> int:
        """Entries of the arguments of phi; n for elementwise operations."""
        return self.A.out_size

    @property
    def p(self) -> int:
        """Entries of the input."""
        return self.B.in_size

    @property
    def q(self) -> int:
        """Entries of the output."""
        return self.C.out_size

    @property
    def dtype(self) -> torch.dtype:
        """Type in which the model computes."""
        return self.a.dtype

    @property
    def device(self) -> torch.device:
        """Where the coefficients live."""
        return self.a.device

    def arguments(self, state: Tensor, x: Tensor) -> Tensor:
        """Return ``A x + B u + a`` [N, m] at states [N, n] and inputs [N, p]."""
        return self.A.apply(state) + self.B.apply(x) + self.a

    def output(self, state: Tensor, x: Tensor) -> Tensor:
        """Return ``C x + D u + d`` [N, q] at states [N, n] and inputs [N, p]."""
        value = self.C.apply(state) + self.d
        return value + self.D.apply(x) if self.D.blocks else value

    def as_input(self, x: object, *, subject: str = "x") -> Tensor:
        """Return inputs [N, p] of the model's type, from [N, p] or [N, *input_shape].

        Raises:
            InvalidArgumentError: They are no numbers.
            ShapeError: The shape is another one, or the batch axis is missing.
            NotFiniteError: A number is NaN or infinite.
        """
        value = tensor_of(x, subject=subject).to(self.device, self.dtype)
        shape = tuple(value.shape[1:])
        if value.ndim == 0 or shape not in {(self.p,), self.input_shape}:
            missing = tuple(value.shape) in {(self.p,), self.input_shape}
            advice = (
                f"The batch axis is missing: pass {subject}[None]."
                if missing
                else "Reshape the data to the model's input, batch axis first."
            )
            raise ShapeError(subject, tuple(value.shape), self.input_shape, advice)
        if not bool(torch.isfinite(value).all()):
            bad = int((~torch.isfinite(value)).sum())
            raise NotFiniteError(
                f"cannot use {subject}: {bad} of its {value.numel()} numbers are NaN or"
                " infinite. Remove or replace those inputs."
            )
        return value.reshape(value.shape[0], self.p)

    def to(
        self, dtype: torch.dtype, device: torch.device | None = None
    ) -> "ImplicitModel":
        """Return the model in another type or on another device."""
        place = self.device if device is None else device
        if (dtype, place) == (self.dtype, self.device):
            return self
        return ImplicitModel(
            self.A.to(dtype, place),
            self.B.to(dtype, place),
            self.C.to(dtype, place),
            self.D.to(dtype, place),
            self.phi.to(dtype, place),
            self.a.to(place, dtype),
            self.d.to(place, dtype),
            domain=self.domain,
            input_shape=self.input_shape,
            output_shape=self.output_shape,
        )

    def remembered(self, what: str, make: Callable[[], _T]) -> _T:
        """Return something that depends on the model alone, made on first use."""
        if what not in self._known:
            self._known[what] = make()
        found: _T = self._known[what]  # pyrefly: ignore[bad-assignment]
        return found

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        kinds = sorted({block.kind for block in self.phi.blocks})
        return (
            f"ImplicitModel(n={self.n}, p={self.p}, q={self.q},"
            f" {len(self.phi.blocks)} blocks of {', '.join(kinds) or 'nothing'},"
            f" {self.dtype}, {self.device})"
        )


def as_model(given: object, *, verb: str) -> ImplicitModel:
    """Return what was given as an implicit model, if it is one.

    Args:
        given: What should be a model.
        verb: What is done with it, for the message.

    Raises:
        InvalidArgumentError: It is no implicit model.
    """
    if isinstance(given, ImplicitModel):
        return given
    raise InvalidArgumentError(
        f"cannot {verb} a {type(given).__name__}: an implicit model is needed. Make one"
        " of matrices with ImplicitModel, or of a network with implicit_model."
    )


def _shape(name: str, given: Shape | None, size: int) -> Shape:
    """Return a shape that has as many entries as the matrices."""
    if given is None:
        return (size,)
    shape = tuple(given) if isinstance(given, Sequence) else (given,)
    if not all(isinstance(length, Integral) for length in shape):
        raise InvalidArgumentError(
            f"cannot make an implicit model: {name} is {given!r}, and whole numbers are"
            " needed. Pass a tuple of them."
        )
    if math.prod(shape) != size:
        raise InvalidArgumentError(
            f"cannot make an implicit model: {name} {list(shape)} has"
            f" {math.prod(shape)} entries, and the matrices have {size}. Correct the"
            " shape."
        )
    return shape


def _check_shapes(made: dict[str, BlockMatrix], phi: Activation) -> None:
    size = {k: (matrix.out_size, matrix.in_size) for k, matrix in made.items()}
    (m, n), (rows, p), (q, columns) = size["A"], size["B"], size["C"]
    fits = (m, n) == (phi.m, phi.n) and rows == m and columns == n
    if not fits or size["D"] != (q, p):
        shapes = ", ".join(f"{k} is {list(shape)}" for k, shape in size.items())
        raise InvalidArgumentError(
            f"cannot make an implicit model: {shapes}, and phi takes {phi.m} arguments"
            f" to {phi.n} states; A must be [{phi.m}, {phi.n}], B [{phi.m}, p], C [q,"
            f" {phi.n}] and D [q, p]. Transpose or cut the one that differs."
        )


def _common_type(
    given: tuple[object, ...], made: dict[str, BlockMatrix]
) -> tuple[torch.dtype, torch.device]:
    """Return the widest type of the arrays given, and their device."""
    found = [
        as_real(item, subject="the coefficients")
        for item in given
        if isinstance(item, Tensor | np.ndarray) and np.ndim(item) > 0
    ]
    for matrix in made.values():
        found += [
            part.matrix
            for part in matrix.blocks.values()
            if isinstance(part, AlongAxis)
        ]
    if not found:
        return torch.float64, torch.device("cpu")
    dtype = found[0].dtype
    for item in found[1:]:
        dtype = torch.promote_types(dtype, item.dtype)
    return dtype, found[0].device


def _vector(
    letter: str, given: object, size: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    if given is None:
        return torch.zeros(size, dtype=dtype, device=device)
    vector = as_real(given, subject=letter).to(device, dtype, copy=True)
    if tuple(vector.shape) != (size,):
        raise InvalidArgumentError(
            f"cannot make an implicit model: {letter} is {list(vector.shape)}, and"
            f" [{size}] is needed. Reshape it."
        )
    if not bool(torch.isfinite(vector).all()):
        raise NotFiniteError(
            f"cannot make an implicit model: {letter} has numbers that are NaN or"
            " infinite. Check how the model was trained or read."
        )
    return vector
