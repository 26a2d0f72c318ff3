"""Inputs and templates as small pictures inside the page."""

import io
import math

import numpy as np
from markupsafe import Markup
from PIL import Image

from relulens.report.page.figures import data_uri

POSITIVE, NEGATIVE = (200, 68, 40), (46, 108, 190)
LONGEST_STRIP = 512


def drawable(shape: tuple[int, ...]) -> bool:
    """Tell whether arrays of this shape are pictures: ``[1 or 3, height, width]``."""
    return len(shape) == 3 and shape[0] in {1, 3} and min(shape[1:]) > 1


def as_canvas(array: np.ndarray) -> np.ndarray:
    """Return any array as channels, rows and columns; a vector becomes a strip.

    A column of a square number of entries, such as 784, is shown as that square.
    """
    if drawable(array.shape):
        return array
    flat = array.reshape(-1)
    side = math.isqrt(flat.size)
    if side >= 5 and side * side == flat.size:
        return flat.reshape(1, side, side)
    return flat[:LONGEST_STRIP].reshape(1, 1, -1)


def input_png(
    array: np.ndarray, low: np.ndarray | float, high: np.ndarray | float
) -> bytes:
    """Return an input as a PNG: grey or colour, ``low`` black and ``high`` white.

    Args:
        array: The input.
        low: What is drawn black, one number or one an entry.
        high: What is drawn white, likewise; all is black where it is not above.
    """
    span = np.broadcast_to(np.subtract(high, low), array.shape)
    share = np.zeros(array.shape)
    np.divide(array - low, span, out=share, where=span > 0)
    levels = (255.0 * np.clip(as_canvas(share), 0.0, 1.0)).round().astype(np.uint8)
    picture = levels[0] if levels.shape[0] == 1 else np.moveaxis(levels, 0, -1)
    return _encoded(Image.fromarray(picture))


def summed(array: np.ndarray) -> np.ndarray:
    """Return an array as rows and columns, its channels summed."""
    return as_canvas(array).sum(axis=0)


def signed_png(array: np.ndarray, reach: float) -> bytes:
    """Return a signed array as a PNG: red above zero, blue below, clear at zero.

    Args:
        array: Any shape; channels are summed.
        reach: Absolute value that gets the full colour.
    """
    canvas = summed(array)
    strength = np.clip(np.abs(canvas) / reach, 0.0, 1.0) if reach > 0 else canvas * 0
    colour = np.where((canvas > 0)[..., None], POSITIVE, NEGATIVE)
    alpha = (255 * strength).round()[..., None]
    pixels = np.concatenate([colour, alpha], -1).astype(np.uint8)
    return _encoded(Image.fromarray(pixels))


def _encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def picture_markup(
    png: bytes, alt: str, caption: str = "", note: str = "", below: str = ""
) -> Markup:
    """Return one small picture with a caption, a fainter line, and what is below."""
    lines = Markup("")
    if caption:
        lines += Markup("<b>{}</b>").format(caption)
    if note:
        lines += Markup("<small>{}</small>").format(note)
    size = Image.open(io.BytesIO(png)).size
    strip = " strip" if size[1] == 1 else ""
    return Markup(
        '<li class="tile{}"><img src="{}" alt="{}" width="{}" height="{}">{}</li>'
    ).format(strip, data_uri(png), alt, *size, lines + below)


def gallery_markup(tiles: list[Markup], heading: str = "") -> Markup:
    """Return pictures side by side, under a heading."""
    head = Markup('<p class="gallery-head">{}</p>').format(heading) if heading else ""
    rows = Markup('<ul class="gallery">{}</ul>').format(Markup("").join(tiles))
    return Markup("{}{}").format(head, rows)
