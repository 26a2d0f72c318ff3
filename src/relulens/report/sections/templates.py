"""Templates: what the network matches an input with, and what comes on top of it."""

import numpy as np
import torch
from markupsafe import Markup

from relulens.local.templates import Templates, templates
from relulens.plot.distribution import distribution
from relulens.plot.theme import ORANGE
from relulens.plot.vector import as_svg
from relulens.report.context import ReportContext
from relulens.report.page.pictures import (
    gallery_markup,
    input_png,
    picture_markup,
    signed_png,
    summed,
)
from relulens.report.section import Card, Figure, Section, SectionContent
from relulens.report.sections.examples import scale_of, verdict_on
from relulens.report.sections.phrases import (
    class_name,
    counted,
    not_reached,
    number,
    numbers,
)
from relulens.report.sections.split import split_markup

MOST_OUTPUTS = 10
BYTES_OF_ROWS = 256 << 20
FULL_COLOUR = 0.995
HOW_TO_READ = (
    " Red entries raise the class's logit and blue ones lower it, on one symmetric"
    f" scale for all, full at the largest {100 * (1 - FULL_COLOUR):.1g} % of entries."
    " Below each, the logit's template part (violet bar) and offset part (orange bar);"
    " the upright mark is their sum, the number beside the class."
)


def build(context: ReportContext) -> SectionContent:
    """Show templates beside inputs, and the exact split of each logit."""
    share = _offset_share(context)
    sentences = [_share_sentence(share)]
    figures: list[Figure] = []
    if context.options.sensitive:
        sentences.append(
            "Templates are not shown: with the report's other numbers they would tell"
            " about the inputs, and the report was asked to be sensitive."
        )
        figures += _share_figure(share)
    else:
        chosen = _chosen(context)
        split = [_one(context, *item, first=item is chosen[0]) for item in chosen]
        figures += [figure for figure, _, _ in split]
        sentences += _equality(context, [(e, largest) for _, e, largest in split])
        figures += _share_figure(share)
    return SectionContent(
        sentences=tuple(sentences),
        figures=tuple(figures),
        check=_check(context),
        undone=not_reached(context, ("slope",)),
        cards=_cards(share),
    )


def _offset_share(context: ReportContext) -> np.ndarray:
    """Return offset part over output of every prediction, NaN where unknown."""
    offset = numbers(context.samples, "offset_part")
    inner = numbers(context.samples, "template_part")
    whole = np.abs(offset) + np.abs(inner)
    ratio = np.full(len(whole), np.nan)
    np.divide(np.abs(offset), whole, out=ratio, where=whole > 0)
    return ratio


def _share_sentence(share: np.ndarray) -> str:
    found = share[np.isfinite(share)]
    start = (
        "At every input each logit is exactly the sum of a template part, the template"
        " (a row of the local slope) times the input, and an offset part."
    )
    if not len(found):
        return start
    return (
        f"{start} For the predicted class the offset part makes up"
        f" {100 * float(np.median(found)):.0f} % of the two by size (median of"
        f" {counted(len(found), 'input')})."
    )


def _cards(share: np.ndarray) -> tuple[Card, ...]:
    found = share[np.isfinite(share)]
    if not len(found):
        return ()
    return (
        Card(
            value=f"{100 * float(np.median(found)):.0f} %",
            label="of the predicted logit is offset, not template",
            note=f"by size, median of {counted(len(found), 'input')}",
        ),
    )


def _share_figure(share: np.ndarray) -> list[Figure]:
    if not np.isfinite(share).any():
        return []
    label = "offset part, % of template and offset part by size"
    content = as_svg(
        lambda ax: distribution(100 * share, ax, label=label, colour=ORANGE),
        name="offset-share",
        size=(6.4, 2.9),
    )
    return [
        Figure(
            format="svg",
            content=content,
            caption="How much of the predicted class's logit is offset: 0 means that"
            " the template alone makes the logit, 100 that the input's match with it"
            " adds nothing.",
            alt="Histogram of the offset's share of the predicted logit",
        )
    ]


def _chosen(context: ReportContext) -> list[tuple[int, str]]:
    """Return inputs to show and why: a typical one, the closest call, a wrong one."""
    margin = numbers(context.samples, "margin")
    lead = numbers(context.samples, "label_margin")
    fine = np.flatnonzero(np.isfinite(margin))
    if not len(fine):
        return [(0, "the first input")] if len(context.samples) else []
    order = fine[np.argsort(margin[fine], kind="stable")]
    picked = {int(order[len(order) // 2]): "the input with the median margin"}
    picked.setdefault(int(order[0]), "the closest call, the smallest margin of all")
    wrong = np.flatnonzero(lead < 0)
    if len(wrong):
        picked.setdefault(int(wrong[np.argmin(lead[wrong])]), "the most wrong input")
    return list(picked.items())


def _one(
    context: ReportContext, row: int, why: str, *, first: bool
) -> tuple[Figure, float, float]:
    """Return the figure of one input, the split's error, and the largest logit."""
    x = context.points([row])
    found = templates(context.network, x, limit=BYTES_OF_ROWS)
    logits = found.logits[0].numpy()
    error = float((found.inner + found.offsets - found.logits).abs().max())
    best = np.sort(np.argsort(-logits, kind="stable")[:MOST_OUTPUTS])
    words = verdict_on(context, row)
    left = len(logits) - len(best)
    rest = f" The {MOST_OUTPUTS} outputs with the largest logits." if left > 0 else ""
    how = HOW_TO_READ if first else " Read it as above."
    figure = Figure(
        format="html",
        content=_tiles(context, x[0], found, best, words).encode(),
        caption=(
            f"Input #{row}, {why}, and the template of each class there.{rest}{how}"
        ),
        alt=f"Input {row} beside its templates and the split of its logits",
    )
    return figure, error, float(np.abs(logits).max())


def _tiles(
    context: ReportContext,
    x: np.ndarray,
    found: Templates,
    best: np.ndarray,
    words: str,
) -> Markup:
    low, high = scale_of(context)
    shown = found.rows[0].numpy()[best]
    inner, offsets = found.inner[0].numpy(), found.offsets[0].numpy()
    parts = np.stack([inner, offsets, inner + offsets])[:, best]
    strengths = np.concatenate([np.abs(summed(t)).reshape(-1) for t in shown])
    reach = float(np.quantile(strengths, FULL_COLOUR))
    tiles = []
    for place, template in enumerate(shown):
        name = class_name(context, float(best[place]))
        ours = [float(part) for part in parts[:, place]]
        bars = split_markup(ours[0], ours[1], float(np.abs(parts).max()))
        said = Markup('<span class="sum"><b>{}</b>{}</span>').format(
            name, number(ours[2])
        )
        png = signed_png(template, reach)
        tiles.append(picture_markup(png, f"template of {name}", below=said + bars))
    input_ = picture_markup(input_png(x, low, high), f"input, {words}", "input", words)
    beside = Markup('<div class="beside">{}<div class="beside-many">{}</div></div>')
    return beside.format(gallery_markup([input_]), gallery_markup(tiles))


def _equality(context: ReportContext, errors: list[tuple[float, float]]) -> list[str]:
    if not errors:
        return []
    rounding = 1e4 * torch.finfo(context.network.dtype).eps
    tiny = all(error <= rounding * largest for error, largest in errors)
    verdict = ", which is rounding" if tiny else ", more than rounding explains"
    worst = max(error for error, _ in errors)
    return [
        "At the inputs below the two parts add up to the network's own logits with a"
        f" largest difference of {number(worst)}{verdict}."
    ]


def _check(context: ReportContext) -> str:
    row = 0
    if not context.options.sensitive and len(context.samples):
        row = _chosen(context)[0][0]
    one = f"x[{row} : {row} + 1]"
    return (
        f"t = rl.templates(network, {one})\n"
        f"logits = rl.evaluate(network, {one}).flatten(1)\n"
        "(t.inner + t.offsets - logits).abs().max()  # rounding only"
    )


TEMPLATES = Section(
    name="templates",
    title="What the network looks for",
    questions=("prediction", "slope"),
    seconds=10.0,
    bytes_=900_000,
    build=build,
)
