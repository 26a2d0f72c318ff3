"""The split of one logit as two bars and a mark, small enough for a tile."""

from markupsafe import Markup

from relulens.plot.theme import ORANGE, VIOLET

WIDTH, HEIGHT, BAR = 100.0, 18.0, 6.0


def split_markup(inner: float, offset: float, reach: float) -> Markup:
    """Return template part and offset part as bars from zero, their sum as a mark.

    Args:
        inner: Template part.
        offset: Offset part.
        reach: Absolute value at the edges of the drawing.
    """
    middle = WIDTH / 2

    def place(value: float) -> float:
        return middle + (middle - 3) * (value / reach if reach > 0 else 0.0)

    bars = Markup("").join(
        Markup('<rect x="{:.1f}" y="{}" width="{:.1f}" height="{}" fill="{}"/>').format(
            min(middle, place(value)), y, abs(place(value) - middle), BAR, colour
        )
        for value, y, colour in ((inner, 2.0, VIOLET), (offset, 10.0, ORANGE))
    )
    mark = Markup(
        '<path d="M{0:.1f} 0.5 V17.5" stroke="var(--ink)" stroke-width="2.5"'
        ' vector-effect="non-scaling-stroke"/>'
    ).format(place(inner + offset))
    zero = Markup(
        '<path d="M{} 0 V18" stroke="var(--muted)" stroke-width="1"'
        ' vector-effect="non-scaling-stroke"/>'
    )
    return Markup(
        '<svg class="split" viewBox="0 0 100 18" preserveAspectRatio="none"'
        ' role="img" aria-label="{}">{}</svg>'
    ).format(
        f"template part {inner:.3g}, offset part {offset:.3g}",
        zero.format(middle) + bars + mark,
    )
