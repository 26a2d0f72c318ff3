"""Certified radii against enumeration of patterns, samples and worked examples."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NETWORKS, POLYHEDRAL
from scipy.optimize import linprog, minimize

import relulens as rl
from relulens.errors import InvalidArgumentError, NotPolyhedralError, ShapeError
from relulens.graph.domain import Box

NORMS = (1, 2, "inf")
ORDERS = {1: 1, 2: 2, "inf": np.inf}


def random_layers(sizes, seed=0):
    drawn = np.random.default_rng(seed)
    return [
        (2 * drawn.normal(size=(b, a)) / math.sqrt(a), drawn.normal(size=b) / 2)
        for a, b in pairwise(sizes)
    ]


def pieces(layers, width):
    """Yield the region's inequalities and the output's map for every sign pattern."""
    units = [len(bias) for _, bias in layers[:-1]]
    for bits in product((0.0, 1.0), repeat=sum(units)):
        masks = np.split(np.array(bits), np.cumsum(units)[:-1])
        matrix, offset = np.eye(width), np.zeros(width)
        rows, right = [], []
        for (weight, bias), mask in zip(layers, masks, strict=False):
            matrix, offset = weight @ matrix, weight @ offset + bias
            sign = 1 - 2 * mask
            rows.append(sign[:, None] * matrix)
            right.append(-sign * offset)
            matrix, offset = mask[:, None] * matrix, mask * offset
        weight, bias = layers[-1]
        both = np.concatenate(rows), np.concatenate(right)
        yield *both, weight @ matrix, weight @ offset + bias


def nearest_step(rows, right, norm):
    """Return the length of the shortest step u with ``rows u <= right``."""
    width = rows.shape[1]
    longest = np.eye(width) if norm == 1 else np.ones((width, 1))
    none = np.zeros((len(rows), longest.shape[1]))
    eye = np.eye(width)
    table = np.block([[rows, none], [eye, -longest], [-eye, -longest]])
    ends = np.concatenate([right, np.zeros(2 * width)])
    cost = np.concatenate([np.zeros(width), np.ones(longest.shape[1])])
    found = linprog(cost, A_ub=table, b_ub=ends, bounds=[(None, None)] * len(cost))
    if found.status != 0:
        return math.inf
    if norm != 2:
        return found.fun
    limits = {"type": "ineq", "fun": lambda u: right - rows @ u, "jac": lambda u: -rows}
    best = minimize(
        lambda u: u @ u, found.x[:width], jac=lambda u: 2 * u, constraints=limits
    )
    return math.sqrt(best.fun) if (rows @ best.x <= right + 1e-7).all() else math.inf


def nearest_change(layers, x, norm):
    value = x
    for weight, bias in layers[:-1]:
        value = np.maximum(weight @ value + bias, 0)
    label = int(np.argmax(layers[-1][0] @ value + layers[-1][1]))
    nearest = math.inf
    for rows, right, matrix, offset in pieces(layers, len(x)):
        for other in range(len(offset)):
            if other != label:
                row = matrix[label] - matrix[other]
                whole = np.concatenate([rows, row[None]])
                ends = np.append(right, offset[other] - offset[label])
                nearest = min(nearest, nearest_step(whole, ends - whole @ x, norm))
    return nearest


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("sizes", [(2, 6, 3), (3, 3, 3, 2)])
def test_the_walk_finds_the_nearest_change_over_all_patterns(sizes, norm):
    layers = random_layers(sizes, seed=sum(sizes))
    x = np.random.default_rng(1).normal(size=(2, sizes[0]))
    found = rl.certified_radius(rl.from_layers(layers), x, norm)
    for i in range(2):
        truth = nearest_change(layers, x[i], norm)
        assert found.lower[i] == pytest.approx(truth, rel=1e-5)
        assert found.upper[i] == pytest.approx(truth, rel=1e-5)
        assert found.verdict[i] == ("exact" if math.isfinite(truth) else "unreachable")


QUESTIONS = [
    (2, "walk"),
    ("inf", "bounds"),
    (1, "walk"),
    ("inf", "walk"),
    (2, "bounds"),
]


@pytest.mark.parametrize(("place", "name"), list(enumerate(POLYHEDRAL)))
def test_samples_in_the_ball_keep_their_class(place, name):
    network, x = NETWORKS[name]()
    x, (norm, method) = x[:1], QUESTIONS[place % len(QUESTIONS)]
    found = rl.certified_radius(network, x, norm, method=method, budget=0.1)
    check(network, x, found)


def check(network, x, found):
    assert bool((found.lower <= found.upper).all())
    for i in range(len(x)):
        radius = min(float(found.lower[i]), 1e3)
        if radius > 0:
            step = torch.randn((300, *x.shape[1:]), dtype=torch.float64)
            size = torch.linalg.vector_norm(step.flatten(1), ORDERS[found.norm], dim=1)
            step = step / size.reshape(-1, *[1] * (x.ndim - 1)) * radius * (1 - 1e-9)
            value = rl.evaluate(network, x[i] + step).flatten(1)
            assert bool((classes(value) == found.label[i]).all())
        if math.isfinite(found.upper[i]):
            there = found.witness[i]
            away = (there - x[i]).flatten().numpy()
            length = np.linalg.norm(away, ORDERS[found.norm])
            assert length == pytest.approx(float(found.upper[i]), rel=1e-9, abs=1e-12)
            value = rl.evaluate(network, there[None]).flatten()
            assert margin(value, int(found.label[i])) <= 0


def classes(value):
    if value.shape[1] == 1:
        return (value[:, 0] > 0).long()
    return value.argmax(1)


def margin(value, label):
    if len(value) == 1:
        return float(value[0]) * (1 if label == 1 else -1)
    others = torch.cat([value[:label], value[label + 1 :]])
    return float(value[label] - others.max())


@given(st.integers(0, 10**6), st.sampled_from(NORMS))
@settings(max_examples=3)
def test_bounds_hold_the_exact_radius(seed, norm):
    network = rl.from_layers(random_layers((3, 4, 3), seed))
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 3)))
    exact = rl.certified_radius(network, x, norm)
    about = rl.certified_radius(network, x, norm, method="bounds")
    assert bool(exact.complete.all())
    assert bool((about.lower <= exact.upper * (1 + 1e-9)).all())
    assert bool((exact.lower <= about.upper).all())
    check(network, x, exact)


def test_one_half_plane_in_three_norms():
    network = rl.from_layers([([[3.0, 4.0]], [0.0]), ([[1.0]], [-5.0])])
    radii = {1: 5.0, 2: 4.0, "inf": 20 / 7}
    for norm, radius in radii.items():
        found = rl.certified_radius(network, [[3.0, 4.0]], norm)
        assert found.verdict == ("exact",)
        assert float(found.lower[0]) == pytest.approx(radius, rel=1e-6)
        assert np.asarray(found).shape == (1,)


def test_a_decision_that_never_changes_and_one_cut_off_by_the_domain():
    always = rl.from_layers([([[1.0]], [0.0]), ([[1.0]], [1.0])])
    found = rl.certified_radius(always, [[2.0], [-3.0]])
    assert found.verdict == ("unreachable", "unreachable")
    assert found.lower.tolist() == [math.inf, math.inf]
    network = rl.from_layers([([[1.0]], [0.0]), ([[1.0]], [-1.0])])
    assert float(rl.certified_radius(network, [[3.0]]).lower[0]) == pytest.approx(2.0)
    walled = rl.certified_radius(network, [[3.0]], domain=Box(2, 4))
    assert walled.verdict == ("unreachable",)


def test_wrong_labels_and_ties_have_no_radius():
    network = rl.from_layers([([[1.0], [-1.0]], None), (np.eye(2), None)])
    found = rl.certified_radius(network, [[1.0], [0.0]], labels=[1, 0])
    assert found.verdict == ("misclassified", "exact")
    assert found.upper.tolist() == [0.0, 0.0]


def test_no_inputs_and_no_time():
    network = rl.from_layers(random_layers((2, 6, 3)))
    none = rl.certified_radius(network, torch.zeros((0, 2)))
    assert (len(none), none.verdict) == (0, ())
    found = rl.certified_radius(network, [[0.3, 0.2]], budget=0)
    exact = rl.certified_radius(network, [[0.3, 0.2]])
    assert found.lower[0] <= exact.upper[0]
    assert exact.lower[0] <= found.upper[0]


def test_what_cannot_be_asked_is_refused():
    network = rl.from_layers([([[1.0]], None), ([[1.0]], None)])
    with pytest.raises(InvalidArgumentError, match="none of the 3"):
        rl.certified_radius(network, [[1.0]], 3)
    with pytest.raises(InvalidArgumentError, match="none of the 2"):
        rl.certified_radius(network, [[1.0]], method="guess")
    with pytest.raises(InvalidArgumentError, match="labels"):
        rl.certified_radius(network, [[1.0]], labels=[2])
    with pytest.raises(InvalidArgumentError, match="outside"):
        rl.certified_radius(network, [[1.0]], domain=Box(2, 3))
    with pytest.raises(ShapeError):
        rl.certified_radius(network, [1.0])
    curved = next(name for name in NETWORKS if name not in POLYHEDRAL)
    with pytest.raises(NotPolyhedralError):
        rl.certified_radius(*NETWORKS[curved]())
