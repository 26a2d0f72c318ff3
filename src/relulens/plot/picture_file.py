"""Write a drawing to a file, without a screen."""

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from relulens.errors import InvalidArgumentError
from relulens.plot.vector import SETTINGS, Draw

FORMATS = (".svg", ".png", ".pdf")
DOTS_PER_INCH = 200


def write_picture(
    draw: Draw, path: Path, *, size: tuple[float, float] = (6.4, 5.4)
) -> None:
    """Write a drawing as SVG, PNG or PDF, by the path's ending; no dates in it.

    Args:
        draw: Draws on the axes it is given.
        path: The file.
        size: Width and height in inches.

    Raises:
        InvalidArgumentError: The ending is another one.
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise InvalidArgumentError(
            f"cannot draw {path}: it ends in {path.suffix!r} and {len(FORMATS)} formats"
            f" are known ({', '.join(FORMATS)}). Choose one of these endings."
        )
    dates = {".svg": "Date", ".pdf": "CreationDate"}
    undated = {dates[ending]: None} if ending in dates else None
    with rc_context({**SETTINGS, "svg.hashsalt": path.name}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        figure.savefig(
            path,
            format=ending[1:],
            dpi=DOTS_PER_INCH,
            facecolor="white",
            metadata=undated,
        )
