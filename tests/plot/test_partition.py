"""Pictures of slices: asserted on artists; films on what their files hold."""

import sys

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

import relulens as rl
from relulens import plot
from relulens.errors import InvalidArgumentError
from relulens.plot.partition import CLASSES, RASTERISED
from relulens.plot.picture_file import write_picture
from relulens.regions.cell_values import cell_values
from relulens.regions.frame import slice_frame

SQUARE = [[-2.0, -2.0], [2.0, -2.0], [2.0, 2.0], [-2.0, 2.0]]


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


@pytest.fixture(scope="module")
def result():
    layers = [
        ([[1.0, 0.0], [0.0, 1.0]], None),
        ([[1.0, 1.0]], [-1.0]),
        ([[1.0], [-1.0]], [0.0, 1.0]),
    ]
    plane = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    return rl.slice_partition(rl.from_layers(layers), plane, SQUARE)


def parts(ax, kind):
    return [part for part in ax.collections if isinstance(part, kind)]


def test_classes_are_one_polygon_a_cell_in_the_class_s_colour(ax, result):
    assert plot.partition(result, ax, decisions=False) is ax
    fill, divided = parts(ax, PolyCollection)
    assert len(fill.get_paths()) == result.count == 7
    for path, face in zip(divided.get_paths(), divided.get_facecolors(), strict=True):
        middle = torch.tensor(path.vertices[:-1].mean(0))[None]
        best = int(rl.evaluate(result.network, middle)[0].argmax())
        assert np.allclose(face[:3], to_rgb(CLASSES[best]))
    wanted = [to_rgb(CLASSES[k]) for k in cell_values(result).prediction]
    assert np.allclose(fill.get_facecolors()[:, :3], wanted)
    corners = fill.get_paths()[0].vertices[:-1]
    assert np.array_equal(corners, result.polygon(0).numpy())
    (edges,) = parts(ax, LineCollection)
    assert len(edges.get_segments()) == len(result.edges)


def test_the_decision_boundary_is_where_outputs_tie(ax, result):
    plot.partition(result, ax)
    _, decisions = parts(ax, LineCollection)
    points = torch.tensor(np.concatenate(decisions.get_segments()))
    outputs = rl.evaluate(result.network, points)
    assert len(points) > 0
    assert torch.allclose(outputs[:, 0], outputs[:, 1], atol=1e-12)


def test_other_ways_to_colour(result):
    figures = {way: Figure().subplots() for way in ("slope", "depth", "none")}
    for way, ax in figures.items():
        plot.partition(result, ax, colour=way)
    (slope,) = parts(figures["slope"], PolyCollection)
    norms = cell_values(result).slope_norm.numpy()
    colours = slope.get_facecolors()
    for a in range(result.count):
        same = np.isclose(norms, norms[a])
        assert np.allclose(colours[same], colours[a])
    (none,) = parts(figures["none"], PolyCollection)
    assert len(none.get_facecolors()) == 0
    texts = [t.get_text() for t in figures["none"].get_legend().get_texts()]
    assert texts == [layer.name for layer in result.network.layers]
    (depth,) = parts(figures["depth"], PolyCollection)
    assert len(np.unique(depth.get_facecolors(), axis=0)) == 2


def test_marks_have_labels_and_an_unknown_way_is_refused(ax, result):
    plot.partition(result, ax, marks=[(0.5, 0.5, "here")])
    assert [text.get_text() for text in ax.texts] == ["here"]
    with pytest.raises(InvalidArgumentError, match="cannot colour cells by 'area'"):
        plot.partition(result, ax, colour="area")


def test_a_layer_alone_joins_cells_and_keeps_neighbours_apart(ax, result):
    plot.layer_pieces(result, 1, ax)
    (fill,) = parts(ax, PolyCollection)
    colours = fill.get_facecolors()
    assert len(np.unique(colours, axis=0)) == 2
    (lines,) = parts(ax, LineCollection)
    segments = np.array(lines.get_segments())
    inner = segments[np.abs(segments.mean(1)).max(1) < 2]
    # the bent line x+ + y+ = 1, in three pieces
    assert len(inner) == 3
    assert np.allclose(np.maximum(inner, 0).sum(-1), 1)


def test_many_cells_are_pixels_in_a_vector_file(ax, monkeypatch, result):
    assert result.count < RASTERISED
    plot.partition(result, ax)
    assert not any(part.get_rasterized() for part in ax.collections)
    drawing = sys.modules["relulens.plot.partition"]
    monkeypatch.setattr(drawing, "RASTERISED", 3)
    other = Figure().subplots()
    plot.partition(result, other, decisions=False)
    assert all(part.get_rasterized() for part in other.collections)


def test_pictures_are_the_same_bytes_again_and_other_endings_refused(tmp_path, result):
    def draw(ax):
        plot.partition(result, ax)

    for ending in ("svg", "png", "pdf"):
        first, second = tmp_path / f"a/p.{ending}", tmp_path / f"b/p.{ending}"
        for path in (first, second):
            path.parent.mkdir(exist_ok=True)
            write_picture(draw, path)
        assert first.read_bytes() == second.read_bytes()
    with pytest.raises(InvalidArgumentError, match="and 3 formats are known"):
        write_picture(draw, tmp_path / "p.bmp")


def test_a_film_has_a_picture_a_frame_and_stays_on_the_last(tmp_path, result):
    inner = [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]
    small = rl.slice_partition(result.network, result.plane, inner)
    frames = [slice_frame(result, step=0), slice_frame(small, step=10)]
    path = plot.partition_film(frames, tmp_path / "film.gif", size=(2, 2), seconds=0.1)
    with Image.open(path) as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (2, (200, 200), 0)
        lengths, pictures = [], []
        for place in range(2):
            film.seek(place)
            lengths.append(film.info["duration"])
            pictures.append(np.asarray(film.convert("RGB")))
    assert lengths == [100, 500]
    assert (pictures[0] != pictures[1]).any()
    shown = {tuple(p) for p in pictures[0].reshape(-1, 3)[::3].tolist()}
    wanted = np.array(to_rgb(CLASSES[int(frames[0].prediction[0])])) * 255
    assert min(np.abs(np.array(c) - wanted).max() for c in shown) < 12


@pytest.mark.parametrize(
    ("name", "count", "seconds", "words"),
    [
        ("film.mp4", 1, 0.1, "ends in '.mp4'"),
        ("film.gif", 0, 0.1, "0 frames of 0.1 seconds"),
        ("film.gif", 1, 0.001, "1 frames of 0.001 seconds"),
    ],
)
def test_a_film_of_nothing_is_refused(tmp_path, result, name, count, seconds, words):
    frames = [slice_frame(result)] * count
    with pytest.raises(InvalidArgumentError, match=words):
        plot.partition_film(frames, tmp_path / name, seconds=seconds)
    assert not list(tmp_path.iterdir())
