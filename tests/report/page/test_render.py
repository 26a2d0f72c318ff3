"""The page's template, its size, and figures inside it."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from relulens.plot.spectrum import spectrum
from relulens.plot.theme import THEMED
from relulens.plot.vector import as_svg
from relulens.report.page.figures import figure_markup
from relulens.report.page.pictures import (
    as_canvas,
    input_png,
    picture_markup,
    signed_png,
)
from relulens.report.page.render import Provenance, cell_text, numeric, render
from relulens.report.page.size import within_budget
from relulens.report.section import Card, Figure, Section, SectionContent, Table


def section(name="one", bytes_=10_000_000):
    def build(context):
        raise NotImplementedError

    return Section(
        name=name,
        title=f"Section {name}",
        questions=(),
        seconds=1.0,
        bytes_=bytes_,
        build=build,
    )


def picture(size, alt="noise"):
    noise = np.random.default_rng(size).integers(0, 256, (size, size), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format="PNG")
    return Figure(format="png", content=buffer.getvalue(), caption="c", alt=alt)


def rendered(*contents, **options):
    pairs = [(section(f"s{i}"), content) for i, content in enumerate(contents)]
    facts = Provenance(facts={"seed": "0"})
    return render(pairs, facts, {"inputs": "3"}, title="T & U", **options)


def test_text_is_escaped_and_cards_link_to_their_section():
    card = Card(value="3 < 4", label="label", note="note")
    content = SectionContent(sentences=("a < b",), check="x < 1", cards=(card,))
    page = rendered(content)
    assert "a &lt; b" in page
    assert "T &amp; U" in page
    assert "3 &lt; 4" in page
    assert '<a href="#s0"><strong>' in page


def test_the_page_is_the_same_twice():
    content = SectionContent(sentences=("a",), check="", figures=(picture(8),))
    assert rendered(content) == rendered(content)


def test_pictures_are_left_out_largest_first_until_the_page_fits():
    small, large = picture(30, "small"), picture(300, "large")
    content = SectionContent(sentences=("s",), check="", figures=(small, large))
    whole = rendered(content)
    limit = len(whole.encode()) - 1
    page = rendered(content, limit=limit)
    assert len(page.encode()) <= limit
    assert 'alt="small"' in page
    assert 'alt="large"' not in page
    assert "Left out to stay under" in page
    assert "(large)" in page


def test_drawings_stay_longer_than_pictures():
    svg = as_svg(lambda ax: spectrum([2.0, 1.0], ax), name="s", size=(4, 3))
    drawing = Figure(format="svg", content=svg, caption="c", alt="drawing")
    content = SectionContent(
        sentences=("s",), check="", figures=(drawing, picture(20, "tiny"))
    )
    limit = len(rendered(content).encode()) - 1
    page = rendered(content, limit=limit)
    assert 'aria-label="drawing"' in page
    assert 'alt="tiny"' not in page


def test_a_limit_that_words_exceed_still_gives_the_words():
    content = SectionContent(sentences=("said",), check="", figures=(picture(20),))
    page = rendered(content, limit=10)
    assert "said" in page
    assert "<img" not in page


def test_a_section_keeps_to_its_own_budget():
    content = SectionContent(
        sentences=("s",), check="", figures=(picture(20), picture(100))
    )
    kept = within_budget(section(bytes_=2000), content)
    assert [figure.content for figure in kept.figures] == [content.figures[0].content]
    assert kept.undone is not None
    assert within_budget(section(), content) is content


def test_two_drawings_share_no_identifier():
    svg = as_svg(lambda ax: spectrum([2.0, 1.0], ax), name="s", size=(4, 3))
    figure = Figure(format="svg", content=svg, caption="c", alt="a <b>")
    first, second = figure_markup(figure, "one"), figure_markup(figure, "two")
    ids = [set(re.findall(r'\bid="([^"]+)', text)) for text in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for text, own in zip((first, second), ids, strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= own
    assert "<style" not in first
    assert "<metadata" not in first
    assert 'aria-label="a &lt;b&gt;"' in first
    assert not any(colour in first for colour in THEMED)


def test_svg_bytes_are_the_same_every_time():
    made = [
        as_svg(lambda ax: spectrum([2.0, 1.0], ax), name="s", size=(4, 3))
        for _ in range(2)
    ]
    assert made[0] == made[1]


def test_numbers_stand_right_and_unknown_cells_are_empty():
    table = Table(
        columns=("name", "count"), rows=(("a", 1200), ("b", None)), caption="t"
    )
    page = rendered(SectionContent(sentences=("s",), check="", table=table))
    assert '<th scope="col" class="number">count' in page
    assert '<td class="number">1,200</td>' in page
    assert '<td class="number"></td>' in page
    assert numeric(table.rows, 1)
    assert not numeric(table.rows, 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (7, "7"),
        (float("nan"), "not computed"),
        (0.25, "0.25"),
        ("x", "x"),
    ],
)
def test_cells_read_well(value, text):
    assert cell_text(value) == text


def test_an_input_is_black_at_the_low_end_and_white_at_the_high():
    png = input_png(np.array([[[0.0, 16.0], [8.0, 99.0]]]), 0.0, 16.0)
    assert np.asarray(Image.open(io.BytesIO(png))).tolist() == [[0, 255], [128, 255]]


def test_colours_are_kept():
    array = np.zeros((3, 2, 2))
    array[1] = 1.0
    pixels = np.asarray(Image.open(io.BytesIO(input_png(array, 0.0, 1.0))))
    assert pixels.shape == (2, 2, 3)
    assert (pixels == [0, 255, 0]).all()


def test_a_flat_range_does_not_divide_by_zero():
    pixels = np.asarray(Image.open(io.BytesIO(input_png(np.ones((1, 2, 2)), 1, 1))))
    assert (pixels == 0).all()


def test_signed_pictures_are_clear_at_zero_and_symmetric():
    png = signed_png(np.array([[[0.0, 2.0], [-2.0, 1.0]]]), 2.0)
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    assert pixels[..., 3].tolist() == [[0, 255], [255, 128]]
    assert tuple(pixels[0, 1, :3]) == tuple(pixels[1, 1, :3]) != tuple(pixels[1, 0, :3])


def test_signed_pictures_of_nothing_are_clear():
    pixels = np.asarray(Image.open(io.BytesIO(signed_png(np.zeros((1, 2, 2)), 0.0))))
    assert (pixels[..., 3] == 0).all()


@pytest.mark.parametrize(
    ("shape", "canvas"),
    [
        ((13,), (1, 1, 13)),
        ((784,), (1, 28, 28)),
        ((1, 784, 1), (1, 28, 28)),
        ((3, 8, 8), (3, 8, 8)),
        ((4,), (1, 1, 4)),
        ((5, 6), (1, 1, 30)),
        ((9, 4, 4), (1, 12, 12)),
    ],
)
def test_any_input_has_a_picture(shape, canvas):
    assert as_canvas(np.zeros(shape)).shape == canvas


def test_a_vector_is_a_strip():
    markup = picture_markup(input_png(np.arange(13.0), 0, 12), "v", "caption")
    assert 'class="tile strip"' in markup
