"""Drawings: asserted on artists, never on pixels."""

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from networks import NETWORKS

from relulens import plot
from relulens.local.spectrum import singular_values
from relulens.local.templates import templates


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


def test_a_spectrum_is_one_line_an_input(ax):
    network, x = NETWORKS["wide"]()
    found = singular_values(network, x[:2])
    assert plot.spectrum(found, ax) is ax
    drawn = [line.get_ydata() for line in ax.get_lines()]
    assert len(drawn) == 2
    for line, values in zip(drawn, found.values.numpy(), strict=True):
        kept = values[values > 1e-12 * found.values.max().item()]
        assert np.array_equal(line, kept)
    assert ax.get_yscale() == "log"


def test_several_spectra_are_named_and_start_at_index_one(ax):
    plot.spectrum({"first": [3.0, 2.0, 1.0], "second": [4.0, 0.0, 0.0]}, ax)
    first, second = ax.get_lines()
    assert list(first.get_xdata()) == [1, 2, 3]
    assert list(second.get_ydata()) == [4.0]
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["first", "second"]
    assert first.get_color() != second.get_color()


def test_a_spectrum_of_zeros_says_so_and_needs_no_logarithm(ax):
    plot.spectrum(np.zeros(3), ax)
    assert ax.get_yscale() == "linear"
    assert [text.get_text() for text in ax.texts] == ["all zero"]


def test_the_effect_of_a_layer_is_a_dashed_and_a_solid_line(ax):
    plot.relu_effect([("relu", [2.0, 1.0], [1.5, 0.0]), ("abs", [1.0], [1.0])], ax)
    lines = ax.get_lines()
    assert [line.get_linestyle() for line in lines] == ["--", "-", "--", "-"]
    assert [len(line.get_ydata()) for line in lines] == [2, 1, 1, 1]
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color()


def test_a_distribution_counts_every_number_and_names_the_others(ax):
    values = [1.0, 2.0, 4.0, 0.0, np.nan, np.nan, np.inf]
    plot.distribution(values, ax, label="length", log=True)
    assert sum(bar.get_height() for bar in ax.patches) == 3
    lines = ax.get_xlabel().splitlines()
    assert lines == ["length", "2 not computed, 1 infinite, 1 at zero or below"]
    assert "median 2" in [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("values", [[], [np.nan], [3.0, 3.0]])
def test_a_distribution_of_little_or_nothing_can_be_drawn(ax, values):
    plot.distribution(values, ax)
    shown = np.isfinite(np.asarray(values, dtype=float)).sum()
    assert sum(bar.get_height() for bar in ax.patches) == shown


def test_margins_stack_right_and_wrong(ax):
    plot.margins([1.0, 2.0, 3.0, np.nan], [True, False, True, True], ax)
    assert sum(bar.get_height() for bar in ax.patches) == 3
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["right (2)", "wrong (1)"]


def test_margins_without_labels_have_no_legend(ax):
    plot.margins([1.0, 2.0], None, ax)
    assert ax.get_legend() is None
    assert sum(bar.get_height() for bar in ax.patches) == 2


def test_the_certified_share_leaves_out_what_is_unknown_or_wrong(ax):
    radii = [0.5, 1.0, np.nan, 2.0]
    plot.certified_share(radii, [True, True, True, False], ax)
    (line,) = ax.get_lines()[:1]
    # of four inputs two count up to 0.5, one up to 1, and none beyond
    assert list(line.get_xdata()) == [0.0, 0.5, 1.0, 1.0]
    assert list(line.get_ydata()) == [50.0, 50.0, 25.0, 0.0]
    assert line.get_drawstyle() == "steps-pre"


@pytest.mark.parametrize("radii", [[], [np.nan], [np.inf], [0.0, 0.0]])
def test_a_certified_share_of_little_or_nothing_can_be_drawn(ax, radii):
    plot.certified_share(radii, None, ax)
    (line,) = ax.get_lines()[:1]
    known = [radius for radius in radii if not np.isnan(radius)]
    assert line.get_ydata()[0] == 100 * len(known) / max(len(radii), 1)


def test_the_split_of_logits_is_two_bars_and_their_sum(ax):
    plot.logit_split([1.0, -2.0], [0.5, 0.5], ["no", "yes"], ax)
    assert [bar.get_height() for bar in ax.patches] == [1.0, -2.0, 0.5, 0.5]
    marks = next(line for line in ax.get_lines() if line.get_marker() == "D")
    assert list(marks.get_ydata()) == [1.5, -1.5]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["no", "yes"]


def test_templates_are_one_image_on_a_symmetric_scale(ax):
    network, x = NETWORKS["max_pool"]()
    found = templates(network, x[:1])
    plot.templates(found, ax, columns=2)
    (image,) = ax.get_images()
    low, high = image.get_clim()
    summed = found.rows[0].sum(1)
    assert low == -high == -summed.abs().max().item()
    # every entry of every template is in the sheet, and nothing else is
    sheet = np.ma.filled(image.get_array(), np.nan)
    shown = np.sort(sheet[~np.isnan(sheet)])
    assert np.array_equal(shown, np.sort(summed.flatten().numpy()))
    assert len(ax.texts) == len(summed)


def test_vector_templates_are_strips(ax):
    network, x = NETWORKS["wide"]()
    found = templates(network, x[:1])
    plot.templates(found, ax, columns=1)
    assert ax.get_images()[0].get_array().shape[1] == found.rows.shape[2] + 1


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_can_be_drawn(ax, name):
    network, _ = NETWORKS[name]()
    plot.network(network, ax)
    assert "input" in [text.get_text() for text in ax.texts]


def test_new_axes_are_made_where_none_are_given():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    drawn = plot.spectrum(torch.tensor([2.0, 1.0]))
    assert len(drawn.get_lines()) == 1
    import matplotlib.pyplot as plt

    plt.close(drawn.figure)
