"""The generative model whose reverse is a feed-forward network."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from relulens.errors import InvalidArgumentError, ShapeError


def check_keep(keep: float) -> float:
    """Return a share of kept units, refused outside (0, 1].

    Raises:
        InvalidArgumentError: It is outside.
    """
    if not 0.0 < keep <= 1.0:
        raise InvalidArgumentError(
            f"cannot use dropout: the share of kept units is {keep}, and it must lie in"
            " (0, 1]. Pass 1 for no dropout."
        )
    return float(keep)


def generator(seed: int, device: torch.device) -> torch.Generator:
    """Return a seeded source of random numbers on a device."""
    return torch.Generator(device=device).manual_seed(seed)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GenerativeModel:
    r"""Layers :math:`x = r(\alpha W h) \circ n_\rho`, hidden layer to observed one.

    ``r`` is ReLU and :math:`n_\rho` keeps every unit with probability ``keep``; the
    source is Arora, Liang and Ma, *Why are deep nets reversible*.

    Attributes:
        weights: One matrix [n, m] a layer, the observed layer's first; m hidden units
            generate n.
        keep: Probability that a generated unit is kept, one a layer.
        scales: The factor alpha of every layer.
    """

    weights: tuple[Float[Tensor, "n m"], ...]
    keep: tuple[float, ...]
    scales: tuple[float, ...]

    @classmethod
    def gaussian(
        cls,
        sizes: Sequence[int],
        keep: float | Sequence[float] = 1.0,
        seed: int = 0,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> "GenerativeModel":
        r"""Return a model with standard normal weights, :math:`\alpha = 2/(\rho n)`.

        With that factor the expectation of :math:`W^\top x` is exactly h.

        Args:
            sizes: Units of every layer, the observed one first.
            keep: Probability that a unit is kept, in (0, 1], one or one a layer.
            seed: Seed of the weights.
            dtype: Type of the weights.
            device: Where they live.

        Raises:
            InvalidArgumentError: Fewer than two sizes, a size below one, or ``keep``
                outside (0, 1].
        """
        _check_sizes(sizes)
        source = generator(seed, torch.device(device))
        pairs = list(pairwise(sizes))
        weights = tuple(
            torch.randn(n, m, generator=source, dtype=dtype, device=device)
            for n, m in pairs
        )
        shares = _shares(keep, len(pairs))
        scales = tuple(
            2.0 / (share * n) for share, (n, _) in zip(shares, pairs, strict=True)
        )
        return cls(weights=weights, keep=shares, scales=scales)

    @classmethod
    def from_matrices(
        cls, weights: Sequence[Tensor], keep: float | Sequence[float] = 1.0
    ) -> "GenerativeModel":
        r"""Return a model with given weights, :math:`\alpha = 2m/(\rho\|W\|_F^2)`.

        That is the same factor where the entries have variance one.

        Args:
            weights: Matrices [n, m], the observed layer's first, sizes chained.
            keep: Probability that a unit is kept, in (0, 1], one or one a layer.

        Raises:
            InvalidArgumentError: No matrices, sizes that do not chain, a zero matrix,
                or
                ``keep`` outside (0, 1].
        """
        sizes = [weights[0].shape[0], *(w.shape[1] for w in weights)] if weights else []
        _check_sizes(sizes)
        for first, second in pairwise(weights):
            if first.shape[1] != second.shape[0]:
                raise InvalidArgumentError(
                    f"cannot chain the weights: one reads {first.shape[1]} units, and"
                    f" the next gives {second.shape[0]}. Pass matrices as [n, m]."
                )
        shares = _shares(keep, len(weights))
        norms = [float(weight.square().sum()) for weight in weights]
        if not all(norm > 0 for norm in norms):
            raise InvalidArgumentError(
                f"cannot scale the weights: {norms.count(0.0)} of {len(norms)} matrices"
                " are zero. Leave those layers out."
            )
        scales = tuple(
            2.0 * weight.shape[1] / (share * norm)
            for weight, share, norm in zip(weights, shares, norms, strict=True)
        )
        return cls(weights=tuple(weights), keep=shares, scales=scales)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of every layer, the observed one first."""
        return (self.weights[0].shape[0], *(w.shape[1] for w in self.weights))

    def sample(self, h: Float[Tensor, "batch m"], *, seed: int = 0) -> Tensor:
        """Return an observed layer drawn for every top hidden layer.

        Args:
            h: Nonnegative hidden values [N, sizes[-1]].
            seed: Seed of the dropped units.

        Returns:
            [N, sizes[0]], nonnegative.

        Raises:
            ShapeError: ``h`` has another shape.
        """
        return self.sample_layers(h, seed=seed)[0]

    def sample_layers(
        self, h: Float[Tensor, "batch m"], *, seed: int = 0
    ) -> tuple[Tensor, ...]:
        """Return all layers drawn from the top one, the observed one first.

        Args:
            h: Nonnegative hidden values [N, sizes[-1]].
            seed: Seed of the dropped units.

        Raises:
            ShapeError: ``h`` has another shape.
        """
        if h.ndim != 2 or h.shape[1] != self.sizes[-1]:
            raise ShapeError("h", h.shape, self.sizes[-1:], "Put the batch axis first.")
        source = generator(seed, h.device)
        layers = [h.to(self.weights[-1].dtype)]
        stack = list(zip(self.weights, self.keep, self.scales, strict=True))
        for weight, share, scale in reversed(stack):
            x = torch.relu(layers[-1] @ weight.T).mul_(scale)
            layers.append(dropped(x, share, source))
        return tuple(reversed(layers))

    def hidden(
        self, count: int, active: int, *, seed: int = 0, values: str = "equal"
    ) -> Float[Tensor, "count m"]:
        """Return sparse nonnegative top layers.

        Args:
            count: How many.
            active: Nonzero entries of each.
            seed: Seed of their places and values.
            values: ``"equal"`` for ones, ``"uniform"`` for values in [0.5, 1.5].

        Raises:
            InvalidArgumentError: More active entries than units, or fewer than one.
        """
        units = self.sizes[-1]
        if not 1 <= active <= units:
            raise InvalidArgumentError(
                f"cannot draw sparse hidden layers: {active} entries shall be nonzero,"
                f" and there are {units} units. Choose 1 to {units}."
            )
        weight = self.weights[-1]
        source = generator(seed, weight.device)
        order = torch.rand(count, units, generator=source, device=weight.device)
        places = order.topk(active, dim=1).indices
        size = (count, active)
        drawn = torch.rand(size, generator=source, device=weight.device) + 0.5
        filled = torch.ones_like(drawn) if values == "equal" else drawn
        h = torch.zeros(count, units, dtype=weight.dtype, device=weight.device)
        return h.scatter_(1, places, filled.to(weight.dtype))


def dropped(x: Tensor, share: float, source: torch.Generator) -> Tensor:
    """Return ``x`` with every unit kept with a probability, zero otherwise."""
    if share == 1.0:
        return x
    kept = torch.rand(x.shape, generator=source, device=x.device, dtype=x.dtype) < share
    return x * kept


def _shares(keep: float | Sequence[float], count: int) -> tuple[float, ...]:
    shares = [keep] * count if isinstance(keep, (int, float)) else list(keep)
    if len(shares) != count:
        raise InvalidArgumentError(
            f"cannot use dropout: {len(shares)} shares are given for {count} layers."
            " Pass one share, or one a layer."
        )
    return tuple(check_keep(share) for share in shares)


def _check_sizes(sizes: Sequence[int]) -> None:
    if len(sizes) < 2 or min(sizes) < 1:
        raise InvalidArgumentError(
            f"cannot make a generative model: its sizes are {list(sizes)}, and at"
            " least 2 positive ones are needed. Pass (observed, hidden, ...)."
        )
