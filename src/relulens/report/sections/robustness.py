"""Robustness: how far a change of the input carries, at most and at least."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError, MemoryLimitError, UnboundedError
from relulens.graph.domain import Box
from relulens.local.affine_map import local_affine_map
from relulens.report.context import ReportContext
from relulens.report.section import Card, Section, SectionContent, Table
from relulens.report.sections.phrases import (
    counted,
    not_reached,
    number,
    numbers,
    percent,
)
from relulens.report.sections.robustness_figures import (
    attack_figure,
    certified_figure,
    sensitivity_figure,
    worst_figure,
)
from relulens.robustness.attacks.attack import Attack
from relulens.robustness.attacks.sparse import sparse_attack
from relulens.robustness.certified_accuracy import (
    CertifiedAccuracy,
    certified_accuracy,
)
from relulens.robustness.output_bounds import BoundsMethod
from relulens.robustness.sensitivity import Sensitivity, sensitivity
from relulens.survey.cost import multiplications

SECONDS = 45.0
INPUTS = 40
ATTACKED = 12
TRIED = 4
"""Inputs that a method is timed on."""
COSTLY = 20_000_000
"""Multiplications of a forward pass above which neither attacks nor lines are tried."""
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Radii, as shares of the inputs' range."""
METHODS: tuple[BoundsMethod, ...] = ("sensitivity", "interval", "relaxation")
VACUOUS = 100.0
"""How many times the slope at the inputs the global gain may be and still tell."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Question:
    """What the section asks about.

    Attributes:
        x: Some inputs [N, *input_shape].
        labels: Their labels where known, else the predictions.
        domain: Where changed inputs may lie.
        written: That domain as Python.
        end: ``time.monotonic()`` at which nothing more is begun.
    """

    x: Tensor
    labels: np.ndarray
    domain: Box
    written: str
    end: float


def build(context: ReportContext) -> SectionContent:
    """Ask how far changes carry: bounds, certified shares and attacks."""
    question = _question(context)
    if question is None:
        return SectionContent(
            sentences=("There are no predictions of classes to change.",),
            check="",
            undone=not_reached(context, ("prediction",)),
        )
    left_out: list[str] = []
    gains = _sensitivity(context, left_out)
    attack = _attack(context, question, left_out)
    certified = _certified(context, question, left_out)
    figures = [
        certified_figure(certified),
        attack_figure(attack),
        worst_figure(context, question.x, attack),
        sensitivity_figure(context, gains),
    ]
    return SectionContent(
        sentences=(
            *_certified_words(certified),
            *_attack_words(attack),
            *_gain_words(context, question, gains),
        )
        or ("Nothing could be said of this network.",),
        figures=tuple(figure for figure in figures if figure is not None),
        table=_table(certified),
        check=_check(certified, question),
        undone="; ".join(left_out) or None,
        cards=_cards(certified, attack),
    )


def _question(context: ReportContext) -> _Question | None:
    prediction = numbers(context.samples, "prediction")
    label = numbers(context.samples, "label")
    rows = np.flatnonzero(np.isfinite(prediction))[:INPUTS]
    if not len(rows) or context.network.output_size < 2:
        return None
    kept = np.where(np.isfinite(label), label, prediction)[rows]
    domain, written = context.network.domain, "network.domain"
    if domain is None:
        ends = float(np.min(context.data.low)), float(np.max(context.data.high))
        domain, written = Box(*ends), f"rl.Box({ends[0]!r}, {ends[1]!r})"
    return _Question(
        x=torch.as_tensor(context.points(rows.tolist()), dtype=torch.float64),
        labels=kept.astype(np.int64),
        domain=domain,
        written=written,
        end=time.monotonic() + min(SECONDS, context.seconds_left()),
    )


def _sensitivity(context: ReportContext, left_out: list[str]) -> Sensitivity | None:
    try:
        return sensitivity(context.network)
    except (UnboundedError, MemoryLimitError) as error:
        left_out.append(f"the sensitivity matrix: {error}")
        return None


def _span(domain: Box) -> float:
    low, high = domain.low, domain.high
    span = float((high - low).max())
    return span if math.isfinite(span) and span > 0 else 1.0


def _certified(
    context: ReportContext, question: _Question, left_out: list[str]
) -> dict[str, CertifiedAccuracy]:
    """Certify by every method that is quick enough, looser ones first."""
    network = context.network
    found: dict[str, CertifiedAccuracy] = {}
    costly = multiplications(network) > COSTLY
    for method in METHODS[:2] if costly else METHODS:
        if time.monotonic() > question.end:
            left_out.append(f"bounds by {method}: the section's time was used up")
            continue
        try:
            begun = time.monotonic()
            few = _certify(context, question, method, TRIED)
            count = _affordable(question, TRIED, time.monotonic() - begun, INPUTS)
            whole = count <= len(few.verdicts[0])
            found[method] = few if whole else _certify(context, question, method, count)
        except (UnboundedError, MemoryLimitError, InvalidArgumentError) as error:
            left_out.append(f"bounds by {method}: {error}")
    if costly:
        left_out.append(
            "bounds by relaxation and attacks: a forward pass has"
            f" {multiplications(network):,} multiplications and {COSTLY:,} are the most"
            " for a report; certified_accuracy and sparse_attack do them"
        )
    return found


def _certify(
    context: ReportContext, question: _Question, method: BoundsMethod, count: int
) -> CertifiedAccuracy:
    return certified_accuracy(
        context.network,
        question.x[:count],
        question.labels[:count],
        [share * _span(question.domain) for share in SHARES],
        method=method,
        domain=question.domain,
        attack=method == METHODS[-1],
    )


def _affordable(question: _Question, tried: int, used: float, most: int) -> int:
    """Return how many inputs a third of the time left is enough for."""
    left = max(question.end - time.monotonic(), 0.0) / 3
    return min(most, len(question.x), int(tried * left / max(used, 1e-3)))


def _attack(
    context: ReportContext, question: _Question, left_out: list[str]
) -> Attack | None:
    if multiplications(context.network) > COSTLY:
        return None
    if time.monotonic() > question.end:
        left_out.append("attacks: the section's time was used up")
        return None
    try:
        begun = time.monotonic()
        one = _attacked(context, question, 1)
        count = _affordable(question, 1, time.monotonic() - begun, ATTACKED)
        return one if count <= 1 else _attacked(context, question, count)
    except InvalidArgumentError as error:
        left_out.append(f"attacks: {error}")
        return None


def _attacked(context: ReportContext, question: _Question, count: int) -> Attack:
    return sparse_attack(
        context.network,
        question.x[:count],
        labels=question.labels[:count],
        domain=question.domain,
        seed=context.options.seed,
    )


def _certified_words(found: Mapping[str, CertifiedAccuracy]) -> list[str]:
    if not found:
        return []
    name, best = list(found.items())[-1]
    count = best.verdicts.shape[1]
    shares = best.certified.tolist()
    place = max((i for i, s in enumerate(shares) if s >= 0.5), default=0)
    said = [
        "If every entry of the input moves by at most"
        f" {number(float(best.radii[place]))},"
        f" {percent(round(shares[place] * count), count)} of {counted(count, 'input')}"
        f" provably keep their class (bounds by {name}); no method shows it for more"
        f" than {percent(round(float(best.upper[place]) * count), count)}, since the"
        " others are wrong or were attacked."
    ]
    if len(found) > 1:
        others = ", ".join(
            f"{other} {100 * float(r.certified[place]):.0f} % of"
            f" {counted(r.verdicts.shape[1], 'input')}"
            for other, r in list(found.items())[:-1]
        )
        said.append(f"Looser bounds certify less at that radius: {others}.")
    return said


def _attack_words(attack: Attack | None) -> list[str]:
    if attack is None:
        return []
    need = attack.changed[attack.success & (attack.changed > 0)].double()
    if not len(need):
        return [f"No attack was found on {counted(len(attack), 'input')}."]
    middle = float(need.median())
    return [
        f"Changing {number(middle)} {'entry' if middle == 1 else 'entries'} (median;"
        f" fewest {int(need.min())}) to other allowed values turns the class of"
        f" {counted(len(need), 'input')} of {len(attack)} attacked; each changed input"
        " was evaluated again. That fewer cannot do it is proved only where"
        " all were tried."
    ]


def _gain_words(
    context: ReportContext, question: _Question, gains: Sensitivity | None
) -> list[str]:
    if gains is None:
        return []
    few = question.x[:8]
    slopes = local_affine_map(context.network, few).slope
    steepest = float(slopes.abs().sum(2).max())
    gain = float(gains.gain.max())
    ratio = gain / steepest if steepest > 0 else math.inf
    said = (
        "Over the whole input space no output changes by more than"
        f" {number(gain)} times the largest change of an entry (the sensitivity matrix"
        f" S); at the inputs the steepest slope is {number(steepest)}."
    )
    if ratio <= VACUOUS:
        return [said]
    return [
        f"{said} Being {number(ratio)} times that, the global bound says nothing as a"
        " bound: its rows are a relative picture of which entries can matter."
    ]


def _table(found: Mapping[str, CertifiedAccuracy]) -> Table | None:
    if not found:
        return None
    best = list(found.values())[-1]
    rows = [
        (
            number(float(radius)),
            *(f"{100 * float(r.certified[i]):.0f} %" for r in found.values()),
            f"{100 * float(best.upper[i]):.0f} %",
        )
        for i, radius in enumerate(best.radii)
    ]
    return Table(
        columns=("largest change of an entry", *found, "at most"),
        rows=tuple(rows),
        caption="Certified share of the inputs by method and radius; slower methods on"
        " fewer inputs.",
    )


def _check(found: Mapping[str, CertifiedAccuracy], question: _Question) -> str:
    if not found:
        return "print(rl.sensitivity(network))"
    method, best = list(found.items())[-1]
    count = best.verdicts.shape[1]
    return (
        f"labels = {question.labels[: max(count, ATTACKED)].tolist()}\n"
        f"print(rl.certified_accuracy(network, x[:{count}], labels[:{count}],"
        f" {best.radii.tolist()}, method={method!r}, domain={question.written}))\n"
        f"print(rl.sparse_attack(network, x[:{ATTACKED}],"
        f" labels=labels[:{ATTACKED}], domain={question.written}))"
    )


def _cards(
    found: Mapping[str, CertifiedAccuracy], attack: Attack | None
) -> tuple[Card, ...]:
    cards = []
    if attack is not None:
        need = attack.changed[attack.success & (attack.changed > 0)].double()
        if len(need):
            cards.append(
                Card(
                    value=f"{float(need.median()):g}",
                    label="changed entries turn the class",
                    note=f"median of {counted(len(need), 'attacked input')}",
                )
            )
    if found:
        best = list(found.values())[-1]
        place = len(best.radii) // 2
        cards.append(
            Card(
                value=f"{100 * float(best.certified[place]):.0f} %",
                label=f"certified at radius {number(float(best.radii[place]))}",
                note=f"{counted(best.verdicts.shape[1], 'input')}, every entry moves",
            )
        )
    return tuple(cards)


ROBUSTNESS = Section(
    name="robustness",
    title="How far a change carries",
    questions=("prediction",),
    seconds=SECONDS,
    bytes_=700_000,
    build=build,
)
"""The section on bounds, certified shares and attacks."""
