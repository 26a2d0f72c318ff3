"""A layer with a loop that stays well-posed while it trains."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float64
from torch import Tensor, nn
from torch.nn.utils import parametrize

from relulens.errors import InvalidArgumentError, NotFiniteError, NotWellPosedError
from relulens.implicit.activation import Activation
from relulens.implicit.differentiable import fixed_point
from relulens.implicit.gain_matrix import dense_of
from relulens.implicit.model import ImplicitModel
from relulens.implicit.phi import PhiLike, as_activation
from relulens.training.row_balls import project_rows

Constraint: TypeAlias = Literal["projection", "parametrization"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LayerCertificate:
    """What proves that a layer has exactly one equilibrium for every input.

    Attributes:
        vector: The vector v > 0 [n].
        contraction: A number kappa with ``Γ |A| v <= kappa v``, rounding included; the
            layer is certified if it is below 1.
    """

    vector: Float64[Tensor, " n"]
    contraction: float


class RowBalls(nn.Module):
    """The map that keeps rows in weighted l1 balls, for ``torch`` parametrizations.

    Args:
        radius: Radius of every row's ball [rows].
        weights: Weights of the columns [columns].
    """

    radius: Tensor
    weights: Tensor

    def __init__(self, radius: Tensor, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("radius", radius)
        self.register_buffer("weights", weights)

    # pyrefly: ignore[missing-override-decorator]
    def forward(self, matrix: Tensor) -> Tensor:
        """Return the projected rows, differentiably."""
        return project_rows(matrix, self.radius, weights=self.weights)

    def right_inverse(self, matrix: Tensor) -> Tensor:
        """Return a matrix that is mapped to the given one if that is inside."""
        return matrix


class ImplicitLayer(nn.Module):
    r"""``x = phi(A x + B u + a)``, ``y = C x + D u + d``, with rows of A kept in balls.

    Rows satisfy :math:`\gamma_i \sum_j |a_{ij}| v_j \le \kappa v_i`, so that the loop
    contracts by kappa in the norm :math:`\max_i |x_i| / v_i` and every input has one
    equilibrium. With ``constraint="projection"`` call ``project_()`` after every step
    of the optimiser; ``"parametrization"`` keeps it by construction.

    Args:
        inputs: Entries p of an input.
        states: Entries n of the state.
        outputs: Entries q of an output.
        phi: An elementwise activation, as ``ImplicitModel`` takes it.
        kappa: The factor of contraction, in (0, 1).
        constraint: ``"projection"`` or ``"parametrization"``.
        vector: The vector v > 0 [n]; ones by default.
        error: Relative error, estimated, of the states and of the gradients.
        seed: Seed of the first weights.
        dtype: Type of the weights.

    Raises:
        InvalidArgumentError: ``kappa`` is outside (0, 1), phi couples entries or has no
            finite slope, or v is not positive.

    Example:
        >>> layer = ImplicitLayer(3, 5, 2)
        >>> layer(torch.zeros(4, 3)).shape, layer.certificate().contraction < 1
        (torch.Size([4, 2]), True)
    """

    gain: Tensor
    vector: Tensor

    def __init__(
        self,
        inputs: int,
        states: int,
        outputs: int,
        *,
        phi: PhiLike = "relu",
        kappa: float = 0.95,
        constraint: Constraint = "projection",
        vector: Tensor | Sequence[float] | None = None,
        error: float = 1e-5,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        check_kappa(kappa)
        self.kappa, self.error, self.constraint = kappa, error, constraint
        self.phi = as_activation(phi, [states]).to(dtype, torch.device("cpu"))
        self.register_buffer("gain", elementwise_gain(self.phi))
        self.register_buffer("vector", _positive(vector, states))
        source = torch.Generator().manual_seed(seed)

        def normal(rows: int, columns: int, scale: float) -> nn.Parameter:
            drawn = torch.randn(rows, columns, generator=source, dtype=torch.float64)
            return nn.Parameter((scale * drawn).to(dtype))

        self.A = nn.Parameter(normal(states, states, (0.5 / max(states, 1)) ** 0.5))
        self.B = nn.Parameter(normal(states, inputs, (1 / max(inputs, 1)) ** 0.5))
        self.C = nn.Parameter(normal(outputs, states, (1 / max(states, 1)) ** 0.5))
        self.D = nn.Parameter(normal(outputs, inputs, 0.1 * max(inputs, 1) ** -0.5))
        self.a = nn.Parameter(torch.zeros(states, dtype=dtype))
        self.d = nn.Parameter(torch.zeros(outputs, dtype=dtype))
        self.project_()
        match constraint:
            case "projection":
                pass
            case "parametrization":
                balls = RowBalls(self.radius, self.vector)
                parametrize.register_parametrization(self, "A", balls)
            case _:
                raise InvalidArgumentError(
                    f"cannot make an implicit layer: constraint {constraint!r} is none"
                    " of the 2 known, projection and parametrization. Use one of them."
                )

    @property
    def radius(self) -> Tensor:
        """Radius of every row's ball, ``kappa v / gain`` [n], float64, rounded down."""
        exact = self.kappa * self.vector / self.gain.clamp(min=1e-300)
        return exact * (1 - 2.0**-51)

    def project_(self) -> None:
        """Move the rows of A to the nearest ones in their balls, in place.

        Raises:
            NotFiniteError: A coefficient is NaN or infinite.
        """
        with torch.no_grad():
            if not parametrize.is_parametrized(self, "A"):
                self.A.copy_(project_rows(self.A, self.radius, weights=self.vector))

    def certificate(self) -> LayerCertificate:
        """Return the vector and the factor by which the layer contracts at most."""
        with torch.no_grad():
            carried = self.gain * (self.A.double().abs() @ self.vector)
            factor = float((carried / self.vector).max()) if len(self.vector) else 0.0
        # Each of n products, sums and the quotient rounds once.
        slack = 1 + (len(self.vector) + 4) * 2.0**-53
        return LayerCertificate(vector=self.vector.clone(), contraction=factor * slack)

    def state(self, x: Tensor) -> Tensor:
        """Return the equilibrium states [N, n], with gradients.

        Raises:
            NotWellPosedError: The rows left their balls; ``project_()`` was not called.
            NotFiniteError: A coefficient is NaN.
        """
        factor = self.certificate().contraction
        if factor != factor:
            raise NotFiniteError(
                "cannot evaluate an implicit layer: A has numbers that are NaN. Lower"
                " the step, or restore the last finite weights."
            )
        if factor >= 1:
            raise NotWellPosedError(
                "evaluate an implicit layer",
                factor,
                "Call project_() after every step of the optimiser, or use"
                " constraint='parametrization'.",
            )
        b = x @ self.B.T + self.a
        return fixed_point(self.A, b, self.phi, tolerance=self.error)

    # pyrefly: ignore[missing-override-decorator]
    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs [N, q] at inputs [N, ...], flattened to [N, p].

        Raises:
            NotWellPosedError: The rows left their balls; ``project_()`` was not called.
        """
        flat = x.flatten(1)
        return self.state(flat) @ self.C.T + flat @ self.D.T + self.d

    def to_model(self) -> ImplicitModel:
        """Return the model with copies of the weights as they are now."""
        A, B, C, D, a, d = (
            part.detach().clone()
            for part in (self.A, self.B, self.C, self.D, self.a, self.d)
        )
        return ImplicitModel(A, B, C, D, self.phi, a, d)

    @classmethod
    def from_model(
        cls,
        model: ImplicitModel,
        *,
        kappa: float = 0.95,
        constraint: Constraint = "projection",
        vector: Tensor | None = None,
        error: float = 1e-5,
    ) -> "ImplicitLayer":
        """Return a layer with a model's weights.

        Args:
            model: The model, with elementwise phi.
            kappa: The factor of contraction that the layer keeps.
            constraint: ``"projection"`` or ``"parametrization"``.
            vector: The vector v > 0 [n]; ones by default.
            error: Relative error, estimated, of the states and of the gradients.

        Raises:
            InvalidArgumentError: The model's rows are outside the balls.
        """
        layer = cls(
            model.p,
            model.n,
            model.q,
            phi=model.phi,
            kappa=kappa,
            vector=vector,
            error=error,
            dtype=model.dtype,
        )
        with torch.no_grad():
            for name in ("A", "B", "C", "D"):
                matrix = torch.from_numpy(dense_of(getattr(model, name)))
                getattr(layer, name).copy_(matrix)
            layer.a.copy_(model.a)
            layer.d.copy_(model.d)
        factor = layer.certificate().contraction
        if factor > kappa * (1 + 1e-9):
            raise InvalidArgumentError(
                f"cannot make a layer of the model: its rows contract by {factor:.6g},"
                f" and kappa is {kappa}. Pass the vector of wellposedness(model) and a"
                " kappa that is at least its contraction, or project the rows first."
            )
        if constraint == "parametrization":
            layer.constraint = constraint
            balls = RowBalls(layer.radius, layer.vector)
            parametrize.register_parametrization(layer, "A", balls)
        return layer


def check_kappa(kappa: float) -> None:
    """Refuse a factor of contraction outside (0, 1).

    Raises:
        InvalidArgumentError: ``kappa`` lies outside.
    """
    if not 0 < kappa < 1:
        raise InvalidArgumentError(
            f"cannot keep a contraction: kappa is {kappa}, and it must exceed 0 and lie"
            " below 1. Use 0.95, for instance."
        )


def elementwise_gain(phi: Activation) -> Tensor:
    """Return the largest absolute slope of every entry of phi [n], float64.

    Raises:
        InvalidArgumentError: Entries are coupled, or a slope is unbounded.
    """
    slopes = phi.slopes()
    if slopes is None or not bool(torch.isfinite(torch.stack(slopes)).all()):
        kinds = ", ".join(sorted({block.kind for block in phi.blocks}))
        raise InvalidArgumentError(
            f"cannot keep a contraction: phi is {kinds}, and an elementwise function"
            " with a bounded slope is needed. Use relu or tanh, for instance."
        )
    return torch.maximum(slopes[0].abs(), slopes[1].abs())


def _positive(vector: Tensor | Sequence[float] | None, size: int) -> Tensor:
    if vector is None:
        return torch.ones(size, dtype=torch.float64)
    given = torch.as_tensor(vector, dtype=torch.float64)
    if tuple(given.shape) != (size,) or not bool((given > 0).all()):
        raise InvalidArgumentError(
            f"cannot keep a contraction: the vector is {list(given.shape)} with least"
            f" entry {float(given.min()) if given.numel() else 0.0}, and [{size}]"
            " numbers above 0 are needed. Pass the vector of wellposedness(model)."
        )
    return given.clone()
