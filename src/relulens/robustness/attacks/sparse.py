"""Sparse attacks: few entries of an input changed so that its class changes."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.domain import Box
from relulens.graph.network import Network
from relulens.robustness.attacks.attack import Attack, checked, pending
from relulens.robustness.attacks.field import Field, field, tail
from relulens.robustness.attacks.question import AttackQuestion, attack_question
from relulens.robustness.attacks.region import Found, region_attack
from relulens.robustness.attacks.sensitive_entries import sensitivity_changes
from relulens.robustness.attacks.values import piecewise_affine, walked_values

SparseMethod: TypeAlias = Literal["region", "sensitivity"]
METHODS: tuple[SparseMethod, ...] = ("region", "sensitivity")


def sparse_attack(
    network: Network,
    x: object,
    /,
    *,
    labels: object | None = None,
    k: int | None = None,
    domain: Box | None = None,
    method: SparseMethod = "region",
    targets: object | None = None,
    pixels: bool = False,
    draws: int = 32,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Attack:
    r"""Return inputs that differ in few entries and are misclassified.

    ``"region"`` searches for as few changes as possible: candidates are chosen by the
    affine map of the region, evaluated exactly, and the map is taken anew around the
    point reached; sets are then made smaller by taking changes back and by putting one
    in the place of two; last, values between the ends of the domain are found by linear
    programs inside regions, from region to region. ``"sensitivity"`` is the source's:
    the k entries with the largest sensitivity :math:`S_{cj}` of the label's output (of
    the target's, if there is one) get random values.

    Args:
        network: A classifier: its output is a vector of at least two logits.
        x: Inputs [N, *input_shape], inside the domain.
        labels: True classes [N]; the network's own predictions by default. An input
            that is misclassified already needs no change.
        k: Most changes; as few as found by default.
        domain: Allowed values; ``network.domain`` by default.
        method: ``"region"`` or ``"sensitivity"``, which needs k.
        targets: Classes [N] to reach, or one for all; any other class by default.
        pixels: Count all channels of [channels, height, width] at one place as one
            change. By default every entry of the input counts.
        draws: Random values that ``"sensitivity"`` tries for each input.
        seed: Seed of everything random.
        progress: Called with the inputs done and their number.

    Returns:
        The attack; every input in it was checked in float64 and in float32, and ties
        are no success. Finding none proves nothing: the verdict is ``"undecided"``.

    Raises:
        ShapeError: ``x`` has no batch axis, or another shape than the input.
        NotFiniteError: ``x`` holds NaN or infinite numbers.
        InvalidArgumentError: k is below 1 or above the number of entries, an input is
            outside the domain, the domain is unknown or infinite, labels or targets do
            not fit, or the network has one output.

    Cost:
        ``"region"``: some ten thousand evaluations an input, incremental in the first
        layer; fewer on networks that cost more.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> layers = [([[1.0, 2.0]], [0.0]), ([[1.0], [-1.0]], [0.0, 2.5])]
        >>> found = sparse_attack(from_layers(layers), [[0.0, 0.5]], domain=Box(0, 1))
        >>> found.inputs.tolist(), found.changed.tolist()
        ([[0.0, 1.0]], [1])
    """
    question = attack_question(
        network,
        x,
        labels=labels,
        targets=targets,
        k=k,
        domain=domain,
        pixels=pixels,
        seed=seed,
    )
    match method:
        case "region":
            return _region(question, progress)
        case "sensitivity":
            found = sensitivity_changes(question, draws)
            excluded = torch.where(pending(question), 1, 0)
            return checked(question, found, excluded=excluded, method=method)
        case _:
            raise InvalidArgumentError(
                f"cannot attack with method={method!r}: the methods are"
                f" {', '.join(map(repr, METHODS))}. Choose one of them."
            )


def _region(
    question: AttackQuestion, progress: Callable[[int, int], None] | None
) -> Attack:
    """Attack the inputs one after another; each one's candidates are a batch."""
    found = question.x.clone()
    rows = len(found)
    excluded = torch.zeros(rows, dtype=torch.int64, device=found.device)
    behind = tail(question.single)
    for index, open_ in enumerate(pending(question).tolist()):
        if open_:
            changes = field(question, behind, index)
            found[index], excluded[index] = _one(question, changes, index)
        if progress is not None:
            progress(index + 1, rows)
    return checked(question, found, excluded=excluded, method="region")


def _one(question: AttackQuestion, changes: Field, index: int) -> tuple[Tensor, int]:
    """Return the best input found for one, and which numbers of changes cannot do."""
    best = region_attack(
        changes,
        question.budget,
        fewest=question.k is None,
        seed=question.seed + index,
    )
    return _improved(question, changes, best, index), best.excluded


def _improved(
    question: AttackQuestion, changes: Field, best: Found, index: int
) -> Tensor:
    """Return the input after the changes, or after fewer with values between ends."""
    x = question.x[index]
    if piecewise_affine(question.network):
        for chosen in _worth_walking(question, best):
            start = changed_input(question, changes, chosen, index)
            places = changes.entries[list(chosen)].reshape(-1)
            inside = walked_values(question, index, start, places)
            if inside is not None:
                return inside
    if best.changes is None:
        return x
    return changed_input(question, changes, best.changes, index)


def _worth_walking(
    question: AttackQuestion, best: Found
) -> tuple[tuple[int, ...], ...]:
    """Return the sets within the budget that would be an improvement."""
    kept = best.changes is not None and len(best.changes) <= question.budget
    if kept and question.k is not None:
        return ()
    return tuple(chosen for chosen in best.near if len(chosen) <= question.budget)


def changed_input(
    question: AttackQuestion, changes: Field, chosen: tuple[int, ...], index: int
) -> Tensor:
    """Return an input with pixels at the very ends of the domain."""
    x = question.x[index].clone()
    places = changes.entries[list(chosen)].reshape(-1)
    rises = changes.delta[list(chosen)].reshape(-1)
    ends = torch.where(rises > 0, question.high[index][places], x[places])
    x[places] = torch.where(rises < 0, question.low[index][places], ends)
    return x
