"""The sensitivity matrix: how far any change of the input can carry, at most."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from relulens.bounds.rounding import gamma, roundings
from relulens.graph.absolute import AbsoluteNetwork, absolute
from relulens.graph.blocks import blocks
from relulens.graph.convert import converted
from relulens.graph.linear_map import check_bytes
from relulens.graph.network import Network
from relulens.implicit.model import ImplicitModel
from relulens.robustness.loop_sensitivity import loop_sensitivity

_BYTES = 4 << 30
_TOP = 2.0**500


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Sensitivity:
    """``|y(u) - y(u')| <= S |u - u'|`` for any two inputs, entry by entry.

    Deep networks have enormous bounds: as one, the matrix says little there, while its
    rows still show which entries of the input can move an output most.

    Attributes:
        matrix: S without the powers of two of its rows [q, p], float64.
        exponent: The power of two that each row is multiplied by [q]; zero unless
            numbers would overflow.
        exact: Whether S has the exact absolute values of every block, not upper bounds.
        rounding: Largest relative error of an entry.
        sharpened: Whether negative entries on the diagonal of A were used.
    """

    matrix: Float[Tensor, "q p"]
    exponent: Int[Tensor, " q"]
    exact: bool
    rounding: float
    sharpened: bool = False

    @property
    def gain(self) -> Float[Tensor, " q"]:
        """Most that each output changes if no input does by more than one."""
        return torch.ldexp(self.matrix.sum(1), self.exponent)

    def change(self, radius: Float[Tensor, "batch p"]) -> Float[Tensor, "batch q"]:
        """Return ``S radius``, rounded upwards.

        Args:
            radius: Nonnegative bounds [N, p] on the change of every input.
        """
        moved = torch.ldexp(radius @ self.matrix.T, self.exponent)
        return moved * (1 + self.rounding + gamma(self.matrix.shape[1]))

    def __array__(
        self, dtype: np.dtype | None = None, copy: bool | None = None
    ) -> np.ndarray:
        """Return the matrix, infinite where it overflows."""
        return np.array(self._whole().numpy(force=True), dtype=dtype, copy=copy)

    def __len__(self) -> int:
        """Return the number of outputs."""
        return self.matrix.shape[0]

    def __getitem__(self, place: int | slice | tuple[int | slice, ...]) -> Tensor:
        """Return part of the matrix, infinite where it overflows."""
        return self._whole()[place]

    def _whole(self) -> Tensor:
        return torch.ldexp(self.matrix, self.exponent.unsqueeze(1))

    def __repr__(self) -> str:
        """Return the shape and the largest gain on one line."""
        most = float(self.gain.max()) if self.gain.numel() else 0.0
        return f"Sensitivity({list(self.matrix.shape)}, largest gain {most:.3g})"


def sensitivity(
    network: Network | ImplicitModel, /, *, limit: int = _BYTES
) -> Sensitivity:
    r"""Return the sensitivity matrix of a network or an implicit model.

    .. math:: S = |C| (I - \Gamma |A|)^{-1} \Gamma |B| + |D|

    with the matrices of form (1) and the gains :math:`\Gamma` of its operations: the
    largest slope of an elementwise one, ones over the group of a maximum. No inverse is
    formed: unit vectors of the output are carried back, one row each. For a model with
    loops and monotone operations that never expand, negative entries on the diagonal of
    A keep their sign, which makes S smaller.

    Args:
        network: The network or model; it is widened to float64.
        limit: Bytes that S may take.

    Returns:
        S [q, p] on flattened outputs and inputs.

    Raises:
        UnboundedError: An operation has no finite gain, such as a product; bounds on a
            box have: ``output_bounds(network, x, radius, method="local")``.
        NotWellPosedError: A model with loops is not certified to have one equilibrium.
        MemoryLimitError: S takes more than ``limit`` bytes.

    Cost:
        One backward pass with absolute coefficients for every output.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[2.0], [-1.0]], None), ([[1.0, 3.0]], None)])
        >>> sensitivity(network).matrix
        tensor([[5.]], dtype=torch.float64)
    """
    if isinstance(network, ImplicitModel):
        found = loop_sensitivity(network)
        return Sensitivity(
            matrix=found.matrix,
            exponent=torch.zeros(found.matrix.shape[0], dtype=torch.int64),
            exact=True,
            rounding=found.rounding,
            sharpened=found.sharpened,
        )
    subject = f"the sensitivity matrix [{network.output_size}, {network.input_size}]"
    needed = 16 * network.output_size * network.input_size
    check_bytes(subject, needed, limit, "Ask about fewer outputs, or raise limit.")
    form = absolute(blocks(converted(network)))
    with torch.no_grad():
        matrix, exponent = _carried_back(form)
    return Sensitivity(
        matrix=matrix, exponent=exponent, exact=form.exact, rounding=_rounding(form)
    )


def _carried_back(form: AbsoluteNetwork) -> tuple[Tensor, Tensor]:
    """Return S row by row, and the power of two taken out of every row."""
    network = form.blocks.network
    q = network.output_size
    rows = torch.eye(q, dtype=torch.float64, device=network.device)
    rows = rows.reshape(q, *network.output_shape)
    total = rows.new_zeros((q, *network.input_shape))
    pulled = {j: map_.adjoint(rows) for j, map_ in form.C.items()}
    exponent = torch.zeros(q, dtype=torch.int64, device=network.device)
    for i in reversed(range(len(form.blocks.arguments))):
        block = form.blocks.arguments[i].block
        if block not in pulled:
            continue
        reading = form.gains[i].adjoint(pulled[block])
        if i in form.B:
            total = total + form.B[i].adjoint(reading)
        for j, map_ in ((j, map_) for (row, j), map_ in form.A.items() if row == i):
            part = map_.adjoint(reading)
            pulled[j] = pulled[j] + part if j in pulled else part
        if i == 0 or form.blocks.arguments[i - 1].block != block:
            del pulled[block]
        shift = _overflow(pulled)
        if shift is not None:
            exponent = exponent + shift
            total = _shifted(total, shift)
            pulled = {j: _shifted(part, shift) for j, part in pulled.items()}
    if form.D is not None:
        total = total + _shifted(form.D.adjoint(rows), exponent)
    return total.reshape(q, -1), exponent


def _overflow(pulled: Mapping[int, Tensor]) -> Tensor | None:
    """Return the power of two to take out of every row, if any row needs it."""
    if not pulled or max(float(part.max()) for part in pulled.values()) < _TOP:
        return None
    tops = torch.stack([part.flatten(1).amax(1) for part in pulled.values()]).amax(0)
    shift = torch.frexp(tops.clamp(min=1.0))[1].to(torch.int64) - 1
    return torch.where(tops >= _TOP, shift, torch.zeros_like(shift))


def _shifted(part: Tensor, shift: Tensor) -> Tensor:
    return torch.ldexp(part, -shift.reshape(-1, *[1] * (part.ndim - 1)))


def _rounding(form: AbsoluteNetwork) -> float:
    """Return a bound on the relative rounding of S: its terms are all nonnegative."""
    maps = [*form.A.values(), *form.B.values(), *form.C.values(), *form.gains.values()]
    count = sum(roundings(part) + 1 for part in maps)
    count += 0 if form.D is None else roundings(form.D) + 1
    return gamma(count)
