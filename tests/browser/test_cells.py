"""A headless browser draws a plane of 50,000 cells and reads them."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from relulens.report.page.cells import (
    CellCodes,
    Cells,
    CellTemplates,
    Fact,
    Mark,
    Palette,
    cells_markup,
)
from relulens.report.page.render import Provenance, render
from relulens.report.section import Figure, Section, SectionContent

pytestmark = pytest.mark.browser

SIDE = 224
READY, REDRAW = 1000.0, 60.0
"""Milliseconds, in a headless Chromium without a graphics card."""


def grid(side: int) -> Cells:
    """Return a square of ``side`` by ``side`` jittered quadrangles."""
    rng = np.random.default_rng(0)
    ticks = np.linspace(0.0, 3.0, side + 1)
    vertices = np.stack(np.meshgrid(ticks, ticks), -1)
    inner = vertices[1:-1, 1:-1]
    inner += rng.uniform(-0.2, 0.2, inner.shape) * 3 / side
    corner = np.arange(side)[:, None] * (side + 1) + np.arange(side)
    corners = np.stack([corner, corner + 1, corner + side + 2, corner + side + 1], -1)
    count = side * side
    row, column = np.divmod(np.arange(count), side)
    parents = np.where(column > 0, np.arange(count) - 1, -1)
    return Cells(
        vertices=vertices.reshape(-1, 2),
        sizes=np.full(count, 4),
        corners=corners.reshape(-1),
        palettes=[
            Palette(
                name="class",
                colours=["#1f77b4", "#ff7f0e"],
                levels=(row + column) % 2,
                legend=[("#1f77b4", "even"), ("#ff7f0e", "odd")],
            ),
            Palette(
                name="depth",
                colours=["#6a51c9", "#c43b5c"],
                levels=row % 2,
                legend=[("#6a51c9", "first"), ("#c43b5c", "second")],
            ),
        ],
        facts=[
            Fact(name="row", values=row),
            Fact(name="half", values=column % 2, words=["left", "right"]),
        ],
        segments=np.array([[0.0, 0.0, 3.0, 3.0]]),
        marks=[Mark(x=0.01, y=0.01, label="here")],
        codes=CellCodes(
            layers=[("first", 1), ("second", side)],
            reference=np.zeros(side + 1),
            parents=parents,
            counts=np.ones(count, dtype=int),
            units=np.where(column > 0, column, 0),
            codes=np.ones(count, dtype=int),
        ),
        templates=CellTemplates(
            title="template",
            cells=np.array([0, 5]),
            pictures=rng.normal(size=(2, 8, 8)),
        ),
        label="a grid",
    )


@pytest.fixture(scope="module")
def opened(driver, tmp_path_factory):
    figure = Figure(
        format="html",
        content=str(cells_markup(grid(SIDE))).encode(),
        caption="A grid.",
        alt="a grid",
    )
    section = Section(
        name="grid",
        title="Grid",
        questions=(),
        seconds=1.0,
        bytes_=5_000_000,
        build=lambda _: content,
    )
    content = SectionContent(sentences=("A grid.",), figures=(figure,), check="")
    text = render([(section, content)], Provenance(facts={}), {}, title="Grid")
    path: Path = tmp_path_factory.mktemp("cells") / "page.html"
    path.write_text(text, encoding="utf-8")
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.get(path.as_uri())
    for _ in range(100):
        if "ready" in seen(driver):
            break
        time.sleep(0.1)
    return driver


def seen(driver) -> dict[str, str]:
    script = "return JSON.stringify({...document.querySelector('.cells').dataset})"
    return json.loads(driver.execute_script(script))


def point(driver, x: float, y: float) -> str:
    """Move the pointer to a place in the unit square and return the cell there."""
    script = """
      const canvas = document.querySelector(".cells canvas");
      canvas.scrollIntoView();
      const w = canvas.clientWidth, h = canvas.clientHeight, unit = Math.min(w, h);
      const at = { offsetX: w / 2 + (arguments[0] - .5) * unit * .98,
                   offsetY: h / 2 - (arguments[1] - .5) * unit * .98 };
      const box = canvas.getBoundingClientRect();
      canvas.dispatchEvent(new PointerEvent("pointermove", {
        clientX: box.left + at.offsetX, clientY: box.top + at.offsetY, pointerId: 1 }));
      return document.querySelector(".cells").dataset.cell;
    """
    return driver.execute_script(script, x, y)


def press(driver, key: str) -> None:
    script = """
      const canvas = document.querySelector(".cells canvas");
      canvas.dispatchEvent(new KeyboardEvent("keydown", { key: arguments[0] }));
    """
    driver.execute_script(script, key)


def drawn(driver) -> dict[str, str]:
    """Return what the viewer says after it has drawn once more."""
    before = seen(driver)["draws"]
    for _ in range(50):
        if seen(driver)["draws"] != before:
            break
        time.sleep(0.02)
    return seen(driver)


def test_fifty_thousand_cells_are_ready_within_a_second(opened):
    said = seen(opened)
    assert SIDE**2 > 50_000
    assert float(said["ready"]) < READY, said


def test_zooming_redraws_in_time(opened):
    times = []
    for key in "++-0":
        press(opened, key)
        times.append(float(drawn(opened)["redraw"]))
    assert min(times) < REDRAW, times


def test_the_cell_under_the_pointer_is_the_right_one(opened):
    press(opened, "0")
    drawn(opened)
    for row, column in ((0, 0), (3, 200), (111, 57), (223, 223)):
        place = point(opened, (column + 0.5) / SIDE, (row + 0.5) / SIDE)
        assert int(place) == row * SIDE + column


def test_codes_are_put_together_along_the_tree(opened):
    press(opened, "0")
    point(opened, 3.5 / SIDE, 0.5 / SIDE)
    words = opened.execute_script(
        "return document.querySelector('.cell-facts').textContent"
    )
    assert "first1 of 1 on: 1" in words
    assert "3 of 224 on: 1110000" in words
    assert "halfright" in words


def test_a_template_is_shown_where_there_is_one(opened):
    hidden = "return document.querySelector('.cell-template').hidden"
    point(opened, 5.5 / SIDE, 0.5 / SIDE)
    assert not opened.execute_script(hidden)
    point(opened, 7.5 / SIDE, 0.5 / SIDE)
    assert opened.execute_script(hidden)


def test_the_palette_changes_by_key_and_the_pixels_with_it(opened):
    press(opened, "0")
    drawn(opened)
    script = """
      const c = document.querySelector(".cells canvas");
      const p = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
      return [...new Set(Array.from(p, (v, i) => i % 4 ? 0 :
        p[i] * 65536 + p[i + 1] * 256 + p[i + 2]))];
    """
    assert 0x1F77B4 in opened.execute_script(script)
    press(opened, "p")
    colours = opened.execute_script(script)
    assert 0x6A51C9 in colours
    assert 0x1F77B4 not in colours
    press(opened, "P")
    assert [e for e in opened.get_log("browser") if e["level"] == "SEVERE"] == []
