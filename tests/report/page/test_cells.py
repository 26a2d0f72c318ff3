"""The block that the viewer reads holds what was given."""

import base64
import gzip
import json
import re
import struct
from dataclasses import replace

import numpy as np
import pytest

from relulens.errors import InvalidArgumentError
from relulens.report.page.cells import Cells, Fact, Mark, Palette, cells_markup

TRIANGLES = Cells(
    vertices=np.array([[0.0, 10.0], [4.0, 10.0], [4.0, 12.0], [0.0, 12.0]]),
    sizes=np.array([3, 3]),
    corners=np.array([0, 1, 2, 0, 2, 3]),
    palettes=[
        Palette(name="class", colours=["#000000", "#ffffff"], levels=np.array([1, 0]),
                legend=[("#000000", "none")])
    ],
    facts=[Fact(name="area", values=np.array([4.0, 4.0]))],
    segments=np.array([[0.0, 10.0, 4.0, 12.0]]),
    marks=[Mark(x=2.0, y=11.0, label="middle")],
    label="two triangles <here>",
)  # fmt: skip


def unpacked(markup: str) -> tuple[dict[str, object], bytes]:
    text = re.search(r'octet-stream">([^<]*)</script>', markup)[1]
    block = gzip.decompress(base64.b64decode(text))
    length = struct.unpack("<I", block[:4])[0]
    return json.loads(block[4 : 4 + length]), block


def array(head: dict[str, object], block: bytes, name: str) -> np.ndarray:
    kind, offset, count = head["arrays"][name]
    assert int(offset) % 4 == 0
    dtype = {"f4": "<f4", "u4": "<u4", "i4": "<i4", "u1": "u1", "i1": "i1"}[kind]
    return np.frombuffer(block, dtype, count, int(offset))


def test_arrays_come_back_in_units_of_the_height():
    head, block = unpacked(str(cells_markup(TRIANGLES)))
    assert head["aspect"] == 2.0
    assert array(head, block, "vertices").tolist() == [0, 0, 2, 0, 2, 1, 0, 1]
    assert array(head, block, "corners").tolist() == [0, 1, 2, 0, 2, 3]
    assert array(head, block, "segments").tolist() == [0, 0, 2, 1]
    assert head["marks"] == [{"x": 1.0, "y": 0.5, "label": "middle"}]
    levels = head["palettes"][0]["levels"]
    assert array(head, block, levels).tolist() == [1, 0]


def test_words_are_escaped():
    assert "two triangles &lt;here&gt;" in str(cells_markup(TRIANGLES))


def test_the_same_cells_give_the_same_bytes():
    assert cells_markup(TRIANGLES) == cells_markup(TRIANGLES)


def test_no_cells_are_refused():
    nothing = replace(TRIANGLES, sizes=np.array([], int), corners=np.array([], int))
    with pytest.raises(InvalidArgumentError, match="there are 0 cells and 1 palettes"):
        cells_markup(nothing)


def test_too_many_colours_are_refused():
    wide = replace(TRIANGLES.palettes[0], colours=["#000000"] * 257)
    with pytest.raises(InvalidArgumentError, match="257 colours and 256"):
        cells_markup(replace(TRIANGLES, palettes=[wide]))
