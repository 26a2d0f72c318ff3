"""The network as a drawing of our own: rows, shapes, links past rows, repeats."""

from markupsafe import Markup, escape

from relulens.plot.diagram import Diagram, Row, Step
from relulens.plot.diagram.labels import TIMES, shape_label
from relulens.plot.network import KIND_COLOURS

HEIGHT, GAP, BOX = 34, 14, 372
LEFT, LANE, TOP = 64, 16, 6
CHARACTER, CHIP_PAD = 6.7, 16
OMITTED = 30


def diagram_svg(diagram: Diagram, alt: str) -> str:
    """Return a diagram as SVG, in the variables of the page's colours."""
    tops = _tops(diagram)
    lanes = 1 + max((link.lane for link in diagram.links), default=-1)
    width = LEFT + BOX + 12 + LANE * lanes + (10 if lanes else 0)
    height = tops[-1] + HEIGHT + TOP
    parts = [_straight(diagram, tops)]
    parts += [_link(tops, link.start, link.end, link.lane) for link in diagram.links]
    parts += [_row(row, top) for row, top in zip(diagram.rows, tops, strict=True)]
    parts += [_repeat(tops, *repeat) for repeat in diagram.repeats]
    if diagram.omitted is not None:
        place, count = diagram.omitted
        y = tops[place] - OMITTED / 2
        parts.append(_text(LEFT + BOX / 2, y, f"{count} more rows", "middle"))
    head = (
        f'<svg class="diagram" role="img" aria-label="{escape(alt)}"'
        f' style="max-width:{width:.0f}px" viewBox="0 0 {width} {height}"'
        ' font-size="12.5">'
    )
    return head + _marker() + "".join(parts) + "</svg>"


def _tops(diagram: Diagram) -> list[float]:
    tops: list[float] = []
    y = float(TOP)
    for place in range(len(diagram.rows)):
        if diagram.omitted is not None and place == diagram.omitted[0]:
            y += OMITTED
        tops.append(y)
        y += HEIGHT + GAP
    return tops


def _marker() -> str:
    return (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6"'
        ' markerHeight="6" orient="auto"><path d="M0 0.8 L7.2 4 L0 7.2 z"'
        ' fill="var(--muted)"/></marker></defs>'
    )


def _arrow(path: str) -> str:
    return (
        f'<path d="{path}" fill="none" stroke="var(--muted)" stroke-width="1.3"'
        ' marker-end="url(#tip)"/>'
    )


def _straight(diagram: Diagram, tops: list[float]) -> str:
    x = LEFT + 26
    lines = []
    for place, row in enumerate(diagram.rows[1:], 1):
        cut = diagram.omitted is not None and place == diagram.omitted[0]
        if -1 in row.sources or cut:
            dashed = ' stroke-dasharray="2 4"' if cut else ""
            path = f"M{x} {tops[place - 1] + HEIGHT} V{tops[place] - 1}"
            lines.append(_arrow(path).replace(" fill=", f"{dashed} fill=", 1))
    return "".join(lines)


def _link(tops: list[float], start: int, end: int, lane: int) -> str:
    right = LEFT + BOX
    x = right + 14 + LANE * lane
    first, last = tops[start] + HEIGHT - 9, tops[end] + 9
    path = (
        f"M{right} {first} H{x - 7} Q{x} {first} {x} {first + 7}"
        f" V{last - 7} Q{x} {last} {x - 7} {last} H{right + 1}"
    )
    return _arrow(path)


def _text(x: float, y: float, words: str, anchor: str, extra: str = "") -> str:
    fill = "" if "fill=" in extra else ' fill="var(--muted)"'
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
        f' dominant-baseline="central"{fill}{extra}>{escape(words)}</text>'
    )


def _row(row: Row, top: float) -> str:
    middle = top + HEIGHT / 2
    frame = (
        f'<rect x="{LEFT}" y="{top}" width="{BOX}" height="{HEIGHT}" rx="9"'
        ' fill="var(--surface)" stroke="var(--line)" stroke-width="1.3"/>'
    )
    shape = shape_label(row.shape)
    parts = [frame, _text(LEFT + BOX - 12, middle, shape, "end")]
    if row.layers:
        first, last = row.layers[0], row.layers[-1]
        numbers = f"{first}" if first == last else f"{first} to {last}"
        parts.append(_text(LEFT - 9, middle, numbers, "end", ' font-size="11"'))
    x = LEFT + 8.0
    room = LEFT + BOX - 24 - CHARACTER * len(shape)
    for step in _fitting(row.steps, room - x):
        parts.append(_chip(step, x, middle))
        x += _chip_width(step) + 6
    return "".join(parts)


def _fitting(steps: tuple[Step, ...], room: float) -> list[Step]:
    """Return the steps that fit side by side: the first ones, a count, the last one."""
    for first in range(len(steps) - 1, -1, -1):
        hidden = len(steps) - 1 - first
        count = [Step("input", f"+{hidden}")] if hidden else []
        shown = [*steps[:first], *count, steps[-1]]
        if sum(_chip_width(step) + 6 for step in shown) <= room:
            return shown
    last = steps[-1]
    letters = max(4, int((room - CHIP_PAD) / CHARACTER))
    return [Step(last.kind, f"{last.label[: letters - 1]}…")]


def _chip_width(step: Step) -> float:
    return CHARACTER * len(step.label) + CHIP_PAD


def _chip(step: Step, x: float, middle: float) -> str:
    colour, width = KIND_COLOURS[step.kind], _chip_width(step)
    return (
        f'<rect x="{x:.1f}" y="{middle - 10.5}" width="{width:.1f}" height="21" rx="6"'
        f' fill="{colour}" fill-opacity="0.16"/>'
        + _text(x + width / 2, middle, step.label, "middle", ' fill="var(--ink)"')
    )


def _repeat(tops: list[float], first: int, last: int, times: int) -> str:
    x = LEFT - 34
    start, end = tops[first] + 2, tops[last] + HEIGHT - 2
    bracket = (
        f'<path d="M{x + 6} {start} H{x} V{end} H{x + 6}" fill="none"'
        ' stroke="var(--accent)" stroke-width="1.6"/>'
    )
    bold = ' fill="var(--accent)" font-weight="650"'
    return bracket + _text(x - 6, (start + end) / 2, f"{TIMES}{times}", "end", bold)


def legend_markup(diagram: Diagram) -> Markup:
    """Return what the colours of the diagram mean, for the kinds that occur."""
    words = {
        "affine": "affine",
        "two-slope": "two slopes (ReLU, abs …)",
        "maximum": "maximum",
        "smooth": "smooth",
        "coupled": "coupled",
    }
    there = {step.kind for row in diagram.rows for step in row.steps}
    return Markup('<ul class="keys">{}</ul>').format(
        Markup("").join(
            Markup('<li><i style="background:{}"></i>{}</li>').format(
                KIND_COLOURS[kind], word
            )
            for kind, word in words.items()
            if kind in there
        )
    )
