"""The histogram counts every input once, on its side of the mark."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from relulens.plot.verdict_histogram import verdict_histogram


def axes():
    return Figure().subplots()


def heights(ax):
    return [sum(bar.get_height() for bar in held) for held in ax.containers]


def test_bars_are_stacked_and_add_up():
    active = [3, 4, 8, 9, 9, 30]
    verdicts = ["unbounded", "bounded", "singleton", "singleton", "twin", "singleton"]
    ax = verdict_histogram(active, verdicts, ax=axes(), columns=8)
    tops = [bar for held in ax.containers for bar in held]
    assert sum(bar.get_height() for bar in tops) == 6
    assert heights(ax) == [3, 1, 1, 1]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [
        "determined (3)", "bounded (1)", "unbounded (1)", "a twin was found (1)",
    ]  # fmt: skip
    assert ax.get_ylim()[1] >= 3


@pytest.mark.parametrize("columns", [7, 50, 64, 200])
def test_no_bar_stands_on_both_sides_of_the_mark(columns):
    active = np.arange(0, 220, 3)
    ax = verdict_histogram(
        active, ["bounded"] * len(active), ax=axes(), columns=columns
    )
    edges = np.array([bar.get_x() for bar in ax.containers[0]])
    width = edges[1] - edges[0]
    counted = {}
    for bar in ax.containers[0]:
        middle = bar.get_x() + bar.get_width() / 2
        counted[middle] = bar.get_height()
    below = sum(height for middle, height in counted.items() if middle < columns - 0.5)
    assert below == (active < columns).sum()
    assert width > 0


def test_no_inputs_and_wrong_words():
    assert not verdict_histogram([], [], ax=axes()).containers
    with pytest.raises(ValueError, match="1 of them unknown"):
        verdict_histogram([1], ["finite"], ax=axes())
    with pytest.raises(ValueError, match="2 counts and 1"):
        verdict_histogram([1, 2], ["bounded"], ax=axes())
