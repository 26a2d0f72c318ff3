"""Random-likeness on matrices whose nature is known."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from relulens.errors import InvalidArgumentError
from relulens.importers.layers import from_layers
from relulens.reversal.likeness import random_likeness
from relulens.reversal.marchenko_pastur import distribution, edges
from relulens.reversal.matrix_statistics import (
    coherence,
    coherence_limit,
    matrix_statistics,
)


def verdicts(*matrices, **options):
    network = from_layers([(matrix, None) for matrix in matrices])
    return random_likeness(network, **options).layers


@pytest.mark.parametrize("seed", range(3))
def test_gaussian_layers_pass(seed):
    torch.manual_seed(seed)
    layers = verdicts(0.1 * torch.randn(120, 80), 3.0 * torch.randn(50, 120), seed=seed)
    # Seven statistics at a false-alarm rate of one percent each, two layers.
    assert [layer.verdict for layer in layers] == ["random-like"] * 2


def test_false_alarms_stay_near_their_rate():
    torch.manual_seed(1)
    flagged = [
        layer.verdict != "random-like"
        for _ in range(60)
        for layer in verdicts(torch.randn(30, 20), alarm=0.01)
    ]
    # At most seven percent by the union bound; binomial upper limit at three sigma.
    assert sum(flagged) <= 60 * 0.07 + 3 * math.sqrt(60 * 0.07 * 0.93)


def test_orthogonal_low_rank_and_duplicated_layers_are_flagged():
    orthogonal = torch.linalg.qr(torch.randn(90, 60))[0]
    low_rank = torch.randn(60, 4) @ torch.randn(4, 90)
    doubled = torch.randn(60, 60)
    doubled[7] = doubled[3]
    layers = verdicts(orthogonal, low_rank, torch.randn(60, 60), doubled)
    found = [layer.verdict for layer in layers]
    assert found == [
        "not random-like",
        "not random-like",
        "random-like",
        "not random-like",
    ]
    assert "coherence" in layers[3].sentence
    assert "singular values" in layers[0].sentence


def test_a_trained_layer_is_told_from_its_initialisation():
    before = torch.randn(80, 60, dtype=torch.float64)
    direction = torch.outer(torch.randn(80), torch.randn(60)).to(torch.float64)
    after = before + 0.6 * direction
    network, initial = from_layers([(after, None)]), from_layers([(before, None)])
    layer = random_likeness(network, initial).layers[0]
    assert layer.changed
    assert layer.verdict == "not random-like"
    assert not random_likeness(initial, initial).layers[0].changed


def test_marchenko_pastur_law_against_quadrature():
    rows, columns, sd = 300, 120, 0.7
    q = columns / rows
    a, b = (1 - math.sqrt(q)) ** 2, (1 + math.sqrt(q)) ** 2
    for share in (0.2, 0.5, 0.9):
        top = a + share * (b - a)
        wanted, _ = quad(
            lambda t: math.sqrt(max((b - t) * (t - a), 0)) / (2 * math.pi * q * t),
            a,
            top,
        )
        value = np.array([math.sqrt(top * rows) * sd])
        assert distribution(value, rows, columns, sd)[0] == pytest.approx(
            wanted, abs=2e-6
        )
    low, high = edges(rows, columns, sd)
    assert distribution(np.array([low, high]), rows, columns, sd) == pytest.approx([
        0,
        1,
    ])


def test_coherence_is_the_largest_cosine():
    rows = torch.tensor([[3.0, 4.0], [4.0, 3.0], [0.0, 0.0], [5.0, 0.0]])
    assert coherence(rows) == pytest.approx(24 / 25)
    assert coherence(rows, chunk=2) == pytest.approx(24 / 25)


def test_coherence_limit_against_simulation():
    limit = coherence_limit(12, 10, 0.05)
    above = [
        matrix_statistics(torch.randn(12, 10)).coherence > limit for _ in range(800)
    ]
    assert 0.02 <= np.mean(above) <= 0.075


def test_layers_that_cannot_be_judged_are_named():
    network = from_layers([(torch.ones(4, 3), None), (torch.randn(5, 4), None)])
    result = random_likeness(network)
    assert list(result.left_out) == ["linear0"]
    assert "all 1" in result.left_out["linear0"]


def test_refusals():
    network = from_layers([(torch.randn(4, 3), None)])
    other = from_layers([(torch.randn(5, 3), None)])
    with pytest.raises(InvalidArgumentError, match="another shape"):
        random_likeness(network, other)
    with pytest.raises(InvalidArgumentError, match="false-alarm"):
        random_likeness(network, alarm=0.7)
