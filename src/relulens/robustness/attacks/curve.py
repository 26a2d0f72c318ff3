"""Accuracy under attack against the number of entries that may change."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from relulens.robustness.attacks.attack import Attack


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AttackCurve:
    """What attacks with few changes leave of the accuracy.

    Attributes:
        k: Numbers of changes, from 0.
        success: Share of the inputs that were right for which an attack with at most k
            changes was found; NaN if none was right.
        accuracy: Share of all inputs that is right and for which none was found: an
            upper bound on the accuracy under any attack with k changes.
        count: Number of inputs.
    """

    k: Int[Tensor, " steps"]
    success: Float[Tensor, " steps"]
    accuracy: Float[Tensor, " steps"]
    count: int

    def __repr__(self) -> str:
        """Return both ends on one line."""
        last, kept = int(self.k[-1]), float(self.accuracy[-1])
        return (
            f"AttackCurve({self.count} inputs, k=0..{last}, accuracy"
            f" {float(self.accuracy[0]):.1%} to {kept:.1%})"
        )


def attack_curve(attack: Attack, /, *, most: int | None = None) -> AttackCurve:
    """Return the share of successful attacks against the number of changes.

    Args:
        attack: An attack without k, so that every input has as few changes as found.
            With k, what needed more counts as not found.
        most: Largest number of changes; the largest that occurs by default.

    Example:
        >>> from relulens.graph.domain import Box
        >>> from relulens.importers.layers import from_layers
        >>> from relulens.robustness.attacks.sparse import sparse_attack
        >>> layers = [([[1.0, 2.0]], [0.0]), ([[1.0], [-1.0]], [0.0, 2.5])]
        >>> found = sparse_attack(from_layers(layers), [[0.0, 0.5]], domain=Box(0, 1))
        >>> attack_curve(found).accuracy.tolist()
        [1.0, 0.0]
    """
    need = attack.changed[attack.success]
    last = int(need.max()) if most is None and len(need) else (most or 0)
    steps = torch.arange(last + 1, device=attack.changed.device)
    right = torch.tensor(
        [word != "misclassified" for word in attack.verdict],
        dtype=torch.bool,
        device=attack.changed.device,
    )
    broken = (attack.success & right)[None] & (attack.changed[None] <= steps[:, None])
    found = broken.sum(1).to(torch.float64)
    total = float(right.sum())
    rows = len(attack)
    return AttackCurve(
        k=steps,
        success=found / total if total else torch.full_like(found, torch.nan),
        accuracy=(total - found) / rows if rows else torch.full_like(found, torch.nan),
        count=rows,
    )
