"""Pictures of the section on robustness."""

import math
from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from torch import Tensor

from relulens.plot.attack import attack_curve as draw_curve
from relulens.plot.certified_accuracy import certified_accuracy as draw_certified
from relulens.plot.vector import as_svg
from relulens.report.context import ReportContext
from relulens.report.page.pictures import (
    gallery_markup,
    input_png,
    picture_markup,
    summed,
)
from relulens.report.section import Figure
from relulens.report.sections.examples import scale_of
from relulens.report.sections.phrases import class_name
from relulens.robustness.attacks.attack import Attack
from relulens.robustness.attacks.curve import AttackCurve, attack_curve
from relulens.robustness.certified_accuracy import CertifiedAccuracy
from relulens.robustness.sensitivity import Sensitivity

PICTURED = 8
CLASSES = 10


def certified_figure(found: Mapping[str, CertifiedAccuracy]) -> Figure | None:
    """Return what every method certifies against the radius."""
    if not found:
        return None
    named = {f"{name} (of {r.verdicts.shape[1]})": r for name, r in found.items()}
    return Figure(
        format="svg",
        content=as_svg(
            lambda ax: draw_certified(named, ax, unit="largest change of an entry"),
            name="robustness-certified",
            size=(6.4, 3.1),
        ),
        caption="Share of the inputs whose class provably stays, by method, and the"
        " most there can be. The true share lies between the highest line and the"
        " dashed one.",
        alt="Certified share against the radius",
    )


def attack_figure(attack: Attack | None) -> Figure | None:
    """Return what attacks leave against the number of changes."""
    if attack is None or not len(attack):
        return None
    curve: AttackCurve = attack_curve(attack)
    return Figure(
        format="svg",
        content=as_svg(
            lambda ax: draw_curve(curve, ax), name="robustness-attack", size=(6.4, 2.8)
        ),
        caption="What attacks that change few entries leave of the accuracy: an upper"
        " bound on it under any such attack.",
        alt="Accuracy under attack against the number of entries changed",
    )


def worst_figure(
    context: ReportContext, x: Tensor, attack: Attack | None
) -> Figure | None:
    """Return inputs beside the same with few changes that turn their class."""
    if attack is None or context.options.sensitive:
        return None
    turned = attack.success & (attack.changed > 0)
    order = attack.changed.double().masked_fill(~turned, math.inf).argsort()
    chosen = [int(i) for i in order[:PICTURED] if bool(turned[i])]
    if not chosen:
        return None
    low, high = scale_of(context)
    tiles: list[Markup] = []
    for i in chosen:
        before, after = x[i].numpy(), attack.inputs[i].numpy(force=True)
        was = class_name(context, int(attack.labels[i]))
        now = class_name(context, int(attack.prediction[i]))
        tiles += [
            picture_markup(input_png(before, low, high), f"input {i}", was, f"#{i}"),
            picture_markup(
                input_png(after, low, high),
                f"changed input {i}",
                now,
                f"{int(attack.changed[i])} changed",
            ),
        ]
    return Figure(
        format="html",
        content=str(gallery_markup(tiles, "Turned by the fewest changes")).encode(),
        caption="Inputs, each beside the same with a few entries changed, and what the"
        " network makes of both.",
        alt="Inputs before and after an attack",
    )


def sensitivity_figure(
    context: ReportContext, gains: Sensitivity | None
) -> Figure | None:
    """Return the rows of the sensitivity matrix as pictures."""
    shape = context.network.input_shape
    if gains is None or context.options.sensitive:
        return None
    if min(summed(np.zeros(shape)).shape) < 2:
        return None
    rows = gains.matrix[:CLASSES].numpy(force=True).reshape(-1, *shape)
    tiles = [
        picture_markup(
            input_png(row, 0.0, float(row.max()) or 1.0),
            f"sensitivity of {class_name(context, c)}",
            class_name(context, c),
        )
        for c, row in enumerate(rows)
    ]
    return Figure(
        format="html",
        content=str(gallery_markup(tiles, "Sensitivity")).encode(),
        caption="Rows of the sensitivity matrix, one a class, each on its own scale:"
        " white entries can move the class's output most, over all inputs.",
        alt="Rows of the sensitivity matrix as pictures",
    )
