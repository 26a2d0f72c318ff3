"""The data: its range beside the domain, its classes, and the network's accuracy."""

import numpy as np

from relulens.report.context import ReportContext
from relulens.report.section import Card, Figure, Section, SectionContent, Table
from relulens.report.sections.examples import SHOWN, gallery
from relulens.report.sections.phrases import (
    class_name,
    counted,
    listed,
    not_reached,
    number,
    numbers,
    percent,
)

MOST_CLASSES = 30


def build(context: ReportContext) -> SectionContent:
    """Say what the inputs are and how the network does on them."""
    figure = _examples(context)
    sentences = [_accuracy(context), *_range(context)]
    sentences += [_sentence(note) for note in context.data.notes]
    if context.options.sensitive:
        sentences.append("No input is shown: the report was asked to be sensitive.")
    correct, total = _correct(context)
    share = percent(correct, total)
    note = f"{correct:,} of {total:,} inputs"
    return SectionContent(
        sentences=tuple(sentences),
        figures=() if figure is None else (figure,),
        table=_classes(context),
        check=_check(context),
        undone=not_reached(context, ("prediction",)),
        cards=(Card(value=share, label="accuracy", note=note),) if total else (),
    )


def _sentence(note: str) -> str:
    end = "" if note.endswith((".", "!", "?")) else "."
    return f"{note[:1].upper()}{note[1:]}{end}"


def _correct(context: ReportContext) -> tuple[int, int]:
    """Return how many predictions are right, of those with a label."""
    label = numbers(context.samples, "label")
    said = numbers(context.samples, "prediction")
    both = np.isfinite(label) & np.isfinite(said)
    return int((label[both] == said[both]).sum()), int(both.sum())


def _accuracy(context: ReportContext) -> str:
    correct, total = _correct(context)
    inputs = counted(len(context.samples), "input")
    if total:
        return (
            f"The network classifies {correct:,} of {counted(total, 'input')} as they"
            f" are labelled, {percent(correct, total)}."
        )
    if context.network.output_size == 1:
        return f"{inputs}; the network has one output, so there is no class to compare."
    return f"{inputs} without labels, so the accuracy is not known."


def _range(context: ReportContext) -> list[str]:
    data, domain = context.data, context.network.domain
    if not len(data):
        return ["There are no inputs."]
    found = f"The inputs run from {number(data.low)} to {number(data.high)}"
    scaled = "" if data.scale == 1.0 else f", after division by {number(data.scale)}"
    if domain is None:
        return [
            f"{found}{scaled}. The network says nothing of the range that it is meant"
            " for, so only the accuracy tells whether this one is right."
        ]
    low, high = float(domain.low.min()), float(domain.high.max())
    meant = f"the network is meant for {number(low)} to {number(high)}"
    return [f"{found}{scaled}; {meant}."]


def _classes(context: ReportContext) -> Table | None:
    label = numbers(context.samples, "label")
    said = numbers(context.samples, "prediction")
    if not np.isfinite(label).any():
        return None
    classes, counts = np.unique(label[np.isfinite(label)], return_counts=True)
    rows = tuple(
        (
            class_name(context, value),
            int(count),
            int((said == value).sum()),
            int(((said == value) & (label == value)).sum()),
        )
        for value, count in zip(classes[:MOST_CLASSES], counts, strict=False)
    )
    left = len(classes) - len(rows)
    rest = f"; {counted(left, 'class', 'classes')} more not listed" if left else ""
    return Table(
        columns=("class", "inputs", "predicted", "of these right"),
        rows=rows,
        caption=f"Classes by label{rest}",
    )


def _examples(context: ReportContext) -> Figure | None:
    margin = numbers(context.samples, "margin")
    lead = numbers(context.samples, "label_margin")
    label = numbers(context.samples, "label")
    if not np.isfinite(lead).any():
        return None
    wrong = [int(i) for i in np.argsort(lead) if lead[i] < 0][:SHOWN]
    sure: list[int] = []
    for value in np.unique(label[np.isfinite(label)])[:SHOWN]:
        ours = np.flatnonzero((label == value) & (lead > 0))
        sure += [int(ours[np.argmax(margin[ours])])] if len(ours) else []
    shown = [h for h, rows in (("wrong", wrong), ("right", sure)) if rows]
    return gallery(
        context,
        [
            ("Most wrong", wrong, lambda i: f"label behind by {number(-lead[i])}"),
            (
                "Most clearly right, by class",
                sure,
                lambda i: f"leads by {number(lead[i])}",
            ),
        ],
        caption=f"Inputs that the network got most clearly {listed(shown)}: what it"
        " says, the position in samples.parquet, and by how much the label's logit"
        " trails or leads the others.",
    )


def _check(context: ReportContext) -> str:
    correct, total = _correct(context)
    lines = ["prediction = rl.evaluate(network, x).flatten(1).argmax(1).numpy()"]
    if total:
        lines.append('right = prediction == samples["label"].to_numpy()')
        lines.append(f"right.sum(), len(right)  # {correct}, {total}")
    else:
        lines.append('(prediction == samples["prediction"].to_numpy()).all()')
        lines.append(f"x.min(), x.max()  # {context.data.low:g}, {context.data.high:g}")
    return "\n".join(lines)


DATA = Section(
    name="data",
    title="The data",
    questions=("prediction",),
    seconds=3.0,
    bytes_=600_000,
    build=build,
)
