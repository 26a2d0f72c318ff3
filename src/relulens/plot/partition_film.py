"""A film of slices: one picture a frame, in one file that plays."""

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from relulens.errors import InvalidArgumentError
from relulens.plot.partition import ColourBy, partition
from relulens.plot.theme import INK
from relulens.regions.frame import SliceFrame

DOTS_PER_INCH = 100
PAUSE = 5
"""The last frame stays this many times as long."""
COLOURS = 64


def partition_film(
    frames: Sequence[SliceFrame],
    path: str | Path,
    *,
    colour: ColourBy = "class",
    seconds: float = 0.25,
    size: tuple[float, float] = (4.8, 5.0),
    marks: Sequence[tuple[float, float, str]] = (),
) -> Path:
    """Write slices as an animated GIF that starts again after its last frame.

    Args:
        frames: What a ``SliceRecorder`` kept, or frames of one's own.
        path: The file, ending in .gif; it is replaced if it exists.
        colour: As in ``partition``.
        seconds: How long a frame stays, in hundredths; the last one five times.
        size: Width and height in inches, at 100 pixels an inch.
        marks: Marked points: plane coordinates and a label.

    Returns:
        The path.

    Raises:
        InvalidArgumentError: There are no frames, the path ends otherwise, or the
            frames would stay for less than a hundredth of a second.

    Cost:
        Drawing every frame once; pictures are kept until the file is written.
    """
    target = Path(path)
    if target.suffix.lower() != ".gif":
        raise InvalidArgumentError(
            f"cannot write the film {target}: it ends in {target.suffix!r}, and the 1"
            " format known is '.gif'. Change the ending."
        )
    if not frames or not seconds >= 0.01:
        raise InvalidArgumentError(
            f"cannot write the film {target}: {len(frames)} frames of {seconds} seconds"
            " are given, and at least 1 frame of 0.01 seconds is needed. Record some."
        )
    first, *others = (_picture(frame, colour, size, marks) for frame in frames)
    each = round(100 * seconds) * 10
    first.save(
        target,
        format="GIF",
        save_all=True,
        append_images=others,
        duration=[*[each] * len(others), PAUSE * each] if others else each,
        loop=0,
        disposal=1,
    )
    return target


def _picture(
    frame: SliceFrame,
    colour: ColourBy,
    size: tuple[float, float],
    marks: Sequence[tuple[float, float, str]],
) -> Image.Image:
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH)
    canvas = FigureCanvasAgg(figure)
    # a fixed place, so that nothing jumps between frames
    ax = figure.add_axes((0.1, 0.06, 0.87, 0.86))
    partition(frame, ax, colour=colour, marks=marks)
    ax.set(xlabel="", ylabel="")
    cells = f"{frame.count:,} cells" if frame.count != 1 else "1 cell"
    share = "" if frame.complete else ", not finished"
    ax.set_title(f"step {frame.step}: {cells}{share}", color=INK, fontsize=11)
    figure.patch.set_facecolor("white")
    buffer = io.BytesIO()
    canvas.print_rgba(buffer)
    shape = canvas.get_width_height()
    image = Image.frombytes("RGBA", shape, buffer.getvalue()).convert("RGB")
    return image.quantize(COLOURS, dither=Image.Dither.NONE)
