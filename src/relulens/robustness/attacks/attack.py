"""What an attack found, and the check that every returned input must pass."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relulens.graph.freeze import node_values
from relulens.graph.network import Network
from relulens.robustness.attacks.question import AttackQuestion


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Attack:
    """Changed inputs, each one checked.

    Attributes:
        inputs: Changed inputs [N, *input_shape]; where nothing was found, the inputs
            themselves.
        success: Whether the input is finite, inside the domain, within the budget, and
            strictly misclassified in float64 and in float32.
        changed: How many entries differ, or pixels with ``pixels=True``.
        verdict: ``"found"``, ``"undecided"`` where no attack was found (which proves
            nothing), or ``"misclassified"`` where the input needed no change.
        margin: Logit of the label minus the largest other one, in float64; the largest
            other one minus the target's if there is a target. Negative at a success.
        margin_single: The same in float32.
        prediction: Class of the changed input.
        labels: Class that the attack leads away from.
        targets: Class that it leads to, or nothing.
        excluded: No fewer changes to ends of the domain than this do it: all of them
            were tried. At least 1 unless the input is misclassified.
        k: Most changes allowed, or nothing.
        method: How they were searched for.
    """

    inputs: Float[Tensor, "batch ..."]
    success: Bool[Tensor, " batch"]
    changed: Int[Tensor, " batch"]
    verdict: tuple[str, ...]
    margin: Float[Tensor, " batch"]
    margin_single: Float[Tensor, " batch"]
    prediction: Int[Tensor, " batch"]
    labels: Int[Tensor, " batch"]
    targets: Int[Tensor, " batch"] | None
    excluded: Int[Tensor, " batch"]
    k: int | None
    method: str

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.verdict)

    def __repr__(self) -> str:
        """Return the counts on one line."""
        found = self.changed[self.success].to(torch.float64)
        middle = f", median {found.median():g} changed" if len(found) else ""
        return (
            f"Attack({self.method}, k={self.k}, {int(self.success.sum())} of"
            f" {len(self)} found{middle})"
        )


def margins(
    outputs: Float[Tensor, "batch classes"],
    labels: Int[Tensor, " batch"],
    targets: Int[Tensor, " batch"] | None,
) -> Float[Tensor, " batch"]:
    """Return the margins that an attack makes negative.

    Args:
        outputs: Logits.
        labels: Classes to leave.
        targets: Classes to reach, or nothing.
    """
    kept = labels if targets is None else targets
    own = outputs.gather(1, kept[:, None])[:, 0]
    other = outputs.scatter(1, kept[:, None], -torch.inf).amax(1)
    return own - other if targets is None else other - own


def logits(network: Network, x: Float[Tensor, "batch ..."]) -> Tensor:
    """Return the outputs in the network's own type."""
    inputs = x.to(network.dtype).reshape(x.shape[0], *network.input_shape)
    return node_values(network, inputs, [network.output])[network.output]


def pending(question: AttackQuestion) -> Tensor:
    """Return which inputs are not misclassified yet, in float64 and in float32."""
    labels, targets = question.labels, question.targets
    exact = margins(logits(question.network, question.x), labels, targets)
    single = margins(logits(question.single, question.x), labels, targets)
    return (exact >= 0) | (single >= 0)


def checked(
    question: AttackQuestion,
    found: Float[Tensor, "batch inputs"],
    *,
    excluded: Int[Tensor, " batch"],
    method: str,
) -> Attack:
    """Return an attack with every input checked; what fails the check is taken back.

    Args:
        question: What was asked.
        found: What the search offers, flattened.
        excluded: Numbers of changes, below which all were tried.
        method: Name of the search.
    """
    labels, targets = question.labels, question.targets
    good = _acceptable(question, found)
    inputs = torch.where(good[:, None], found, question.x)
    outputs = logits(question.network, inputs)
    exact = margins(outputs, labels, targets)
    single = margins(logits(question.single, inputs), labels, targets)
    success = (exact < 0) & (single < 0)
    inputs = torch.where(success[:, None], inputs, question.x)
    outputs = logits(question.network, inputs)
    changed = question.changes(inputs)
    words = [
        "undecided" if not ok else "found" if count else "misclassified"
        for ok, count in zip(success.tolist(), changed.tolist(), strict=True)
    ]
    rows = len(words)
    return Attack(
        inputs=inputs.reshape(rows, *question.network.input_shape),
        success=success,
        changed=changed,
        verdict=tuple(words),
        margin=margins(outputs, labels, targets),
        margin_single=margins(logits(question.single, inputs), labels, targets).to(
            torch.float64
        ),
        prediction=outputs.argmax(1),
        labels=labels,
        targets=targets,
        excluded=excluded,
        k=question.k,
        method=method,
    )


def _acceptable(question: AttackQuestion, found: Tensor) -> Tensor:
    finite = torch.isfinite(found).all(1)
    inside = ((found >= question.low) & (found <= question.high)).all(1)
    few = question.changes(found) <= question.budget
    return finite & inside & few
