"""Several small drawings side by side, one under another on narrow screens."""

from collections.abc import Sequence

from markupsafe import Markup

from relulens.plot.vector import Draw, as_svg
from relulens.report.page.figures import inline_svg


def panels_markup(
    drawn: Sequence[tuple[str, Draw]], *, name: str, size: tuple[float, float]
) -> bytes:
    """Return drawings with their titles, as a piece of the page.

    Args:
        drawn: Title and what draws it, per panel.
        name: A name that no other figure of the page has.
        size: Width and height of one panel in inches.
    """
    parts = []
    for place, (title, draw) in enumerate(drawn):
        own = f"{name}-{place}"
        picture = inline_svg(as_svg(draw, name=own, size=size), own, title)
        parts.append(Markup("<div><h3>{}</h3>{}</div>").format(title, picture))
    joined = Markup("").join(parts)
    return Markup('<div class="panels">{}</div>').format(joined).encode()
