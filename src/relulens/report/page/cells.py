"""A picture of a plane cut into cells that the reader can move in and point at."""

import base64
import gzip
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from relulens.errors import InvalidArgumentError

COLOURS = 256
"""Most colours of one palette."""

CELLS_CLASS = b'<div class="cells">'
"""What a piece of page begins with that needs the viewer's script."""

_TYPES = {"float32": "f4", "uint32": "u4", "int32": "i4", "uint8": "u1", "int8": "i1"}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Palette:
    """One way to colour the cells.

    Attributes:
        name: What the colours tell, such as ``"class"``.
        colours: At most ``COLOURS`` colours, ``#rrggbb``.
        levels: Place of every cell's colour [cells].
        legend: Colours and words of the legend, in order.
    """

    name: str
    colours: Sequence[str]
    levels: NDArray[np.integer]
    legend: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Fact:
    """A line that the reader sees for the cell under the pointer.

    Attributes:
        name: What it is.
        values: A number a cell [cells], or places in ``words``.
        words: Words to show instead of the numbers, if any.
    """

    name: str
    values: NDArray[np.floating] | NDArray[np.integer]
    words: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CellCodes:
    """Codes of the cells, as differences along a tree.

    Attributes:
        layers: Name and number of units of every layer, in order.
        reference: Codes of all units in the tree's root cell [units].
        parents: Cell that a cell's differences count from [cells]; -1 for the root.
        counts: Number of differences of every cell [cells].
        units: The units that differ, cell by cell.
        codes: Their codes, cell by cell.
    """

    layers: Sequence[tuple[str, int]]
    reference: NDArray[np.integer]
    parents: NDArray[np.integer]
    counts: NDArray[np.integer]
    units: NDArray[np.integer]
    codes: NDArray[np.integer]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CellTemplates:
    """Signed pictures of some cells.

    Attributes:
        title: What the pictures show.
        cells: The cells that have one [pictures].
        pictures: One picture a cell [pictures, height, width].
    """

    title: str
    cells: NDArray[np.integer]
    pictures: NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Mark:
    """A marked point of the plane.

    Attributes:
        x: Its first coordinate.
        y: Its second coordinate.
        label: Its name, short.
    """

    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Cells:
    """What the picture draws; coordinates are those of the plane.

    Attributes:
        vertices: Corners [vertices, 2].
        sizes: Number of corners of every cell [cells]; cells are convex.
        corners: Corners of the cells in order around, cell by cell.
        palettes: Ways to colour the cells, the first is shown first.
        facts: Lines about the cell under the pointer.
        segments: Line segments drawn above [segments, 4], such as decision boundaries.
        marks: Marked points.
        codes: Codes of the cells, if they are to be told.
        templates: Pictures of some cells, if there are any.
        label: What the picture shows, for those who do not see it.
    """

    vertices: NDArray[np.float64]
    sizes: NDArray[np.integer]
    corners: NDArray[np.integer]
    palettes: Sequence[Palette]
    facts: Sequence[Fact] = ()
    segments: NDArray[np.float64]
    marks: Sequence[Mark] = ()
    codes: CellCodes | None = None
    templates: CellTemplates | None = None
    label: str


def cells_markup(cells: Cells) -> Markup:
    """Return the picture as a piece of page; the page's own script draws it.

    Raises:
        InvalidArgumentError: There is no cell or no palette, or a palette has too many
            colours.
    """
    _check(cells)
    block = Markup(
        '<script type="application/octet-stream">{}</script>'
        '<div class="cells-bar"><label>Colour by <select></select></label>'
        '<ul class="keys"></ul></div>'
        '<div class="cells-stage"><canvas tabindex="0" role="img" aria-label="{}">'
        "</canvas>"
        '<div class="cells-side"><dl class="cell-facts" aria-live="polite"></dl>'
        "{}</div></div>"
        '<p class="hint">Point at a cell to read it. Drag or arrow keys move, wheel or'
        " <kbd>+</kbd> <kbd>-</kbd> zoom, <kbd>0</kbd> shows all, <kbd>p</kbd> changes"
        " the colours, <kbd>b</kbd> the borders, <kbd>Enter</kbd> reads the cell in the"
        ' middle.</p><p class="cell-failed" hidden>This browser could not draw the'
        " picture.</p>"
    ).format(_packed(cells), cells.label, _template_part(cells.templates))
    return Markup(CELLS_CLASS.decode() + "{}</div>").format(block)


def _template_part(templates: CellTemplates | None) -> Markup:
    if templates is None:
        return Markup("")
    return Markup(
        '<div class="cell-picture"><p>{}</p><canvas class="cell-template" hidden>'
        '</canvas><p class="hint" hidden>No picture is kept for this cell; the {:,}'
        " largest have one.</p></div>"
    ).format(templates.title, len(templates.cells))


def _check(cells: Cells) -> None:
    if not len(cells.sizes) or not cells.palettes:
        raise InvalidArgumentError(
            f"cannot draw cells: there are {len(cells.sizes)} cells and"
            f" {len(cells.palettes)} palettes. Give at least one of each."
        )
    most = max(len(palette.colours) for palette in cells.palettes)
    if most > COLOURS:
        raise InvalidArgumentError(
            f"cannot draw cells: a palette has {most} colours and {COLOURS} is the"
            " most. Join some."
        )


def _packed(cells: Cells) -> str:
    """Return everything that the script reads: one compressed block as text."""
    low = cells.vertices.min(0)
    extent = np.maximum(cells.vertices.max(0) - low, np.finfo(np.float64).tiny)
    unit = extent[1]
    arrays: dict[str, np.ndarray] = {
        "vertices": ((cells.vertices - low) / unit).astype(np.float32),
        "sizes": cells.sizes.astype(np.uint32),
        "corners": cells.corners.astype(np.uint32),
        "segments": ((cells.segments - np.tile(low, 2)) / unit).astype(np.float32),
    }
    head: dict[str, object] = {
        "aspect": float(extent[0] / unit),
        "marks": [
            {
                "x": float((mark.x - low[0]) / unit),
                "y": float((mark.y - low[1]) / unit),
                "label": mark.label,
            }
            for mark in cells.marks
        ],
        "palettes": _palettes(cells.palettes, arrays),
        "facts": _facts(cells.facts, arrays),
    }
    if cells.codes is not None:
        head["layers"] = [list(layer) for layer in cells.codes.layers]
        arrays |= {
            "reference": cells.codes.reference.astype(np.uint8),
            "parents": cells.codes.parents.astype(np.int32),
            "flipCounts": cells.codes.counts.astype(np.uint32),
            "flips": cells.codes.units.astype(np.uint32),
            "flipCodes": cells.codes.codes.astype(np.uint8),
        }
    if cells.templates is not None:
        head["templateShape"] = list(cells.templates.pictures.shape[1:])
        arrays |= {
            "templateCells": cells.templates.cells.astype(np.int32),
            "templates": _signed(cells.templates.pictures),
        }
    return _encoded(head, arrays)


def _palettes(
    palettes: Sequence[Palette], arrays: dict[str, np.ndarray]
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for place, palette in enumerate(palettes):
        arrays[f"levels{place}"] = palette.levels.astype(np.uint8)
        rows.append({
            "name": palette.name,
            "colours": list(palette.colours),
            "levels": f"levels{place}",
            "legend": [list(entry) for entry in palette.legend],
        })
    return rows


def _facts(facts: Sequence[Fact], arrays: dict[str, np.ndarray]) -> list[list[object]]:
    rows: list[list[object]] = []
    for place, fact in enumerate(facts):
        whole = fact.words is not None or fact.values.dtype.kind in "iu"
        arrays[f"fact{place}"] = fact.values.astype(np.int32 if whole else np.float32)
        words = None if fact.words is None else list(fact.words)
        rows.append([fact.name, f"fact{place}", words])
    return rows


def _signed(pictures: NDArray[np.floating]) -> np.ndarray:
    """Return every picture on its own scale, from -127 to 127."""
    flat = pictures.reshape(len(pictures), -1)
    reach = np.abs(flat).max(1, initial=0.0, keepdims=True)
    scaled = np.divide(127.0 * flat, reach, out=np.zeros_like(flat), where=reach > 0)
    return scaled.round().astype(np.int8)


def _encoded(head: dict[str, object], arrays: dict[str, np.ndarray]) -> str:
    """Return a header and arrays, each at a multiple of four bytes, as text."""
    places: dict[str, list[object]] = {}
    # the header's length depends on the offsets, so these are written in fixed width
    head = {**head, "arrays": places}
    for name, array in arrays.items():
        places[name] = [_TYPES[array.dtype.name], "0" * 10, array.size]
    length = -(-len(_json(head)) // 4) * 4
    offset = 4 + length
    for name, array in arrays.items():
        places[name][1] = f"{offset:010d}"
        offset += -(-array.nbytes // 4) * 4
    start = struct.pack("<I", length) + _json(head).ljust(length)
    body = b"".join(
        array.tobytes().ljust(-(-array.nbytes // 4) * 4, b"\0")
        for array in arrays.values()
    )
    packed = gzip.compress(start + body, compresslevel=6, mtime=0)
    return base64.b64encode(packed).decode()


def _json(head: dict[str, object]) -> bytes:
    return json.dumps(head, separators=(",", ":")).encode()
