"""How many samples keep their class within a radius: certified, attacked, undecided."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from relulens.bounds.program_bounds import DEFAULT_LIMITS, Limits
from relulens.errors import InvalidArgumentError
from relulens.graph.arrays import tensor_of
from relulens.graph.domain import Box
from relulens.graph.evaluate import evaluate
from relulens.graph.network import Network
from relulens.robustness.ball import surroundings
from relulens.robustness.descent import margin_of, smallest_found
from relulens.robustness.output_bounds import (
    BoundsMethod,
    Subject,
    as_labels,
    output_bounds,
    outputs,
    widened,
)

VERDICTS = ("certified", "attacked", "undecided", "wrong")
_BATCH = 64


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CertifiedAccuracy:
    """Verdicts on every sample at every radius.

    Attributes:
        radii: The radii [R], rising.
        verdicts: A word [R, N]: ``"certified"`` that every input within the radius has
            the label; ``"attacked"``, an input was found that has not, and evaluated;
            ``"wrong"`` without any change; else ``"undecided"``.
        witness: Inputs [N, *input_shape] that are misclassified, at the smallest radius
            where one was found; NaN where none was.
        method: How the bounds were found.
        norm: Norm of the radii.
        rigorous: Whether rounding is accounted for in every ``"certified"``.
    """

    radii: Tensor
    verdicts: np.ndarray
    witness: Tensor
    method: str
    norm: float
    rigorous: bool

    def share(self, verdict: str) -> Tensor:
        """Return the share [R] of samples with a verdict; NaN for no samples."""
        if verdict not in VERDICTS:
            raise InvalidArgumentError(
                f"cannot count verdicts {verdict!r}: they are"
                f" {', '.join(map(repr, VERDICTS))}. Use one of them."
            )
        counts = torch.as_tensor((self.verdicts == verdict).sum(1)).double()
        return counts / self.verdicts.shape[1]

    @property
    def certified(self) -> Tensor:
        """Share of samples that are certified at each radius: the accuracy proved."""
        return self.share("certified")

    @property
    def upper(self) -> Tensor:
        """Share of samples that are neither wrong nor attacked: the most there can be.

        The true robust accuracy lies between ``certified`` and this.
        """
        return self.certified + self.share("undecided")

    def __repr__(self) -> str:
        """Return the shares at every radius on one line."""
        parts = [
            f"{float(r):g}: {float(low):.1%}..{float(high):.1%}"
            for r, low, high in zip(self.radii, self.certified, self.upper, strict=True)
        ]
        return f"CertifiedAccuracy({self.method!r}, {', '.join(parts)})"


def certified_accuracy(
    network: Subject,
    x: object,
    labels: object,
    radii: float | Sequence[float],
    /,
    *,
    method: BoundsMethod = "relaxation",
    norm: float = math.inf,
    domain: Box | None = None,
    attack: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int, int], None] | None = None,
) -> CertifiedAccuracy:
    """Return how many samples keep their class within each radius.

    A sample is certified if the bounds of its label's output minus every other one are
    positive. Samples that are not are attacked by signed gradients inside the ball.

    Args:
        network: The network, one output a class; or a model with loops, which is not
            attacked.
        x: Samples [N, *input_shape]; an array on disk is read batch by batch.
        labels: Their classes [N].
        radii: Radii, in any order.
        method: As for ``output_bounds``.
        norm: Norm of the radii: infinity, 2 or 1; attacks for infinity only.
        domain: Bounds of the inputs; the network's own by default.
        attack: Whether samples that are not certified are attacked.
        limits: What the bounds may take.
        progress: Called with the samples done and their number.

    Raises:
        InvalidArgumentError: Radii, labels, norm or method do not fit.

    Cost:
        For every sample and radius that the radius before was certified at, one call of
        ``output_bounds``; an attack takes twenty forward and backward passes.
    """
    steps = _steps(radii)
    given = x if isinstance(x, Tensor) else np.asarray(x)
    wide = widened(network)
    classes = as_labels(labels, len(given), outputs(wide))
    attack = attack and norm == math.inf and isinstance(wide, Network)
    limit = wide.domain if domain is None else domain
    parts: list[_Verdicts] = []
    for chosen in _batches(len(given)):
        part = _Verdicts(wide, wide.as_input(given[chosen]), classes[chosen], limit)
        for radius in steps:
            part.take(radius, method, norm, limits, attack=attack)
        parts.append(part)
        if progress is not None:
            progress(min(chosen.stop, len(given)), len(given))
    columns = [np.array(part.rows, dtype="<U9") for part in parts]
    return CertifiedAccuracy(
        radii=torch.tensor(steps, dtype=torch.float64),
        verdicts=np.concatenate(columns, 1).reshape(len(steps), len(given)),
        witness=torch.cat([part.witness for part in parts]),
        method=method,
        norm=norm,
        rigorous=all(part.rigorous for part in parts),
    )


def _steps(radii: object) -> list[float]:
    """Return the radii in order, each once.

    Raises:
        InvalidArgumentError: There is none, or one is negative or not finite.
    """
    given = tensor_of(radii, subject="radii").to("cpu", torch.float64).flatten()
    if not len(given) or not bool((torch.isfinite(given) & (given >= 0)).all()):
        raise InvalidArgumentError(
            f"cannot certify within radii {given.tolist()}: at least one is needed, and"
            " all finite and not negative. Correct them."
        )
    return sorted(set(given.tolist()))


def _batches(count: int) -> Iterator[slice]:
    for start in range(0, max(count, 1), _BATCH):
        yield slice(start, start + _BATCH)


class _Verdicts:
    """The verdicts on one batch, radius after radius."""

    def __init__(
        self, network: Subject, x: Tensor, labels: Tensor, domain: Box | None
    ) -> None:
        self.network, self.x, self.domain = network, x, domain
        self.labels = labels.to(x.device)
        self.rows: list[np.ndarray] = []
        self.witness = torch.full_like(x, torch.nan)
        self.rigorous = True
        least, most = self._margins()
        self.witness[most <= 0] = x[most <= 0]
        start = np.full(len(x), "certified", dtype=object)
        start[(least <= 0).numpy(force=True)] = "undecided"
        start[(most <= 0).numpy(force=True)] = "wrong"
        self._now = start

    def _margins(self) -> tuple[Tensor, Tensor]:
        """Return bounds of every label's output minus the largest other one, at x."""
        if not len(self.x):
            return self.x.new_zeros(0), self.x.new_zeros(0)
        if isinstance(self.network, Network):
            y = evaluate(self.network, self.x).flatten(1)
            value = margin_of(self.labels)(y)[0]
            return value, value
        found = output_bounds(
            self.network, self.x, 0.0, method="interval", labels=self.labels
        )
        return self._least_other(found.lower), self._least_other(found.upper)

    def _least_other(self, table: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return the least entry of every row but the label's own."""
        labels = self.labels if rows is None else self.labels[rows]
        own = torch.nn.functional.one_hot(labels, table.shape[1]).bool()
        return table.masked_fill(own, torch.inf).amin(1)

    def take(
        self,
        radius: float,
        method: BoundsMethod,
        norm: float,
        limits: Limits,
        *,
        attack: bool,
    ) -> None:
        """Decide one radius, at least as large as the one before."""
        now = self._now.copy()
        open_ = np.flatnonzero(now == "certified")
        mine = torch.as_tensor(open_, device=self.x.device)
        if len(open_):
            found = output_bounds(
                self.network,
                self.x[mine],
                radius,
                method=method,
                norm=norm,
                labels=self.labels[mine],
                domain=self.domain,
                limits=limits,
            )
            self.rigorous &= found.rigorous
            least = self._least_other(found.lower, mine)
            now[open_[(least <= 0).numpy(force=True)]] = "undecided"
        if attack and isinstance(self.network, Network):
            self._attack(self.network, now, radius)
        self._now = now
        self.rows.append(now)

    def _attack(self, network: Network, now: np.ndarray, radius: float) -> None:
        """Look for misclassified inputs around what is undecided."""
        open_ = np.flatnonzero(now == "undecided")
        if not len(open_):
            return
        mine = torch.as_tensor(open_, device=self.x.device)
        around = surroundings(self.x[mine], radius, math.inf, self.domain)
        x = self.x[mine]
        low = torch.where(x - around.low > radius, x - radius, around.low)
        high = torch.where(around.high - x > radius, x + radius, around.high)
        objective = margin_of(self.labels[mine])
        points, value = smallest_found(network, x, (low, high), objective)
        fooled = value <= 0
        self.witness[mine[fooled]] = points[fooled]
        now[open_[fooled.numpy(force=True)]] = "attacked"
