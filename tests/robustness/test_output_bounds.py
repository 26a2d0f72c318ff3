"""Bounds of outputs: against enumeration, sampling, each other, and refusals."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NETWORKS
from scipy.optimize import linprog

import relulens as rl
from relulens.errors import (
    InvalidArgumentError,
    NotPolyhedralError,
    NotWellPosedError,
    UnboundedError,
)
from relulens.robustness.output_bounds import METHODS

QUICK = (
    "dead_unit",
    "duplicate_hyperplane",
    "unit_on_the_point",
    "leaky",
    "absolute_value",
    "clamp",
    "concat",
    "bottleneck",
    "maximum_of_two",
    "deep",
    "plain_affine",
)
CONVOLUTIONAL = ("max_pool", "ragged_max_pool", "conv_avgpool", "projected_residual")


def corners_and_points(x, radius, count=300):
    generator = torch.Generator().manual_seed(0)
    share = 2 * torch.rand(count, *x.shape, generator=generator).double() - 1
    share[::2] = share[::2].sign()
    return (x + radius * share).flatten(0, 1)


@pytest.mark.parametrize("name", QUICK)
def test_methods_are_ordered_and_hold(name):
    network, x = NETWORKS[name]()
    x = x[:1]
    found = {m: rl.output_bounds(network, x, 0.5, method=m) for m in METHODS}
    y = rl.evaluate(network, corners_and_points(x, 0.5))
    for method, bounds in found.items():
        assert (bounds.lower <= y + 1e-9).all(), method
        assert (bounds.upper >= y - 1e-9).all(), method
    order = ("exact", "triangle", "relaxation", "interval", "sensitivity")
    beside = [("exact", "optimised"), ("optimised", "relaxation")]
    for inner, outer in [*pairwise(order), *beside]:
        assert (found[inner].lower >= found[outer].lower - 1e-6).all()
        assert (found[inner].upper <= found[outer].upper + 1e-6).all()
    assert (found["local"].upper <= found["sensitivity"].upper + 1e-9).all()
    assert all(found[m].rigorous for m in METHODS if m != "exact")


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_convolutional_networks_up_to_the_triangle(name):
    network, x = NETWORKS[name]()
    y = rl.evaluate(network, corners_and_points(x[:1], 0.25))
    widths = []
    for method in ("sensitivity", "interval", "relaxation", "triangle"):
        found = rl.output_bounds(network, x[:1], 0.25, method=method)
        assert (found.lower <= y + 1e-9).all()
        assert (found.upper >= y - 1e-9).all()
        widths.append(float((found.upper - found.lower).sum()))
    assert widths == sorted(widths, reverse=True)


def enumerated(layers, low, high, row):
    """Return the least ``row y`` over a box by a linear program for every pattern."""
    (first, a), (last, b) = layers
    best = math.inf
    for signs in product([0.0, 1.0], repeat=len(a)):
        on = np.array(signs)
        rows = np.where(on[:, None] > 0, -first, first)
        right = np.where(on > 0, a, -a)
        cost = row @ (last * on) @ first
        constant = row @ (last @ (on * a) + b)
        found = linprog(cost, rows, right, bounds=np.stack([low, high], 1))
        if found.status == 0:
            best = min(best, found.fun + constant)
    return best


@pytest.mark.parametrize("seed", range(3))
def test_exact_is_the_best_of_all_patterns(seed):
    random = np.random.default_rng(seed)
    layers = [(random.normal(size=(6, 3)), random.normal(size=6))]
    layers.append((random.normal(size=(2, 6)), random.normal(size=2)))
    network = rl.from_layers(layers)
    x = random.normal(size=(1, 3))
    found = rl.output_bounds(network, x, 0.7, method="exact")
    for j, row in enumerate(np.eye(2)):
        least = enumerated(layers, x[0] - 0.7, x[0] + 0.7, row)
        most = -enumerated(layers, x[0] - 0.7, x[0] + 0.7, -row)
        assert float(found.lower[0, j]) == pytest.approx(least, abs=1e-6)
        assert float(found.upper[0, j]) == pytest.approx(most, abs=1e-6)


def test_one_affine_layer_is_exact_by_every_method():
    network = rl.from_layers([([[2.0, -1.0]], [1.0])])
    for method in METHODS:
        found = rl.output_bounds(network, [[1.0, 1.0]], 0.5, method=method)
        assert float(found.lower) == pytest.approx(0.5, abs=1e-12)
        assert float(found.upper) == pytest.approx(3.5, abs=1e-12)


def test_labels_bound_differences_as_one_sum():
    network = rl.from_layers([([[1.0], [1.0]], [0.5, 0.0])])
    found = rl.output_bounds(network, [[0.0], [1.0]], 2.0, labels=[0, 1])
    assert found.lower[0, 1].item() == pytest.approx(0.5, abs=1e-12)
    assert found.upper[1, 0].item() == pytest.approx(-0.5, abs=1e-12)
    assert found.lower[0, 0].item() == 0.0
    rows = rl.output_bounds(network, [[0.0]], 2.0, rows=[[1.0, -1.0], [1.0, 1.0]])
    assert rows.lower[0].tolist() == pytest.approx([0.5, -3.5])


@pytest.mark.parametrize("norm", [1, 2])
@pytest.mark.parametrize("method", ["sensitivity", "interval", "relaxation"])
def test_other_norms(norm, method):
    network, x = NETWORKS["bottleneck"]()
    step = torch.randn(500, 5, generator=torch.Generator().manual_seed(1)).double()
    step = step / torch.linalg.vector_norm(step, norm, dim=1, keepdim=True)
    y = rl.evaluate(network, x[:1] + 0.5 * step)
    found = rl.output_bounds(network, x[:1], 0.5, method=method, norm=norm)
    whole = rl.output_bounds(network, x[:1], 0.5, method=method)
    assert (found.lower <= y + 1e-9).all()
    assert (found.upper >= y - 1e-9).all()
    assert (found.upper <= whole.upper + 1e-9).all()


@settings(max_examples=15, deadline=None)
@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(["sensitivity", "interval", "local"]),
)
def test_bounds_grow_with_the_radius(one, two, method):
    network, x = NETWORKS["residual"]()
    small, large = sorted([one, two])
    inner = rl.output_bounds(network, x, small, method=method)
    outer = rl.output_bounds(network, x, large, method=method)
    assert (outer.lower <= inner.lower + 1e-8).all()
    assert (outer.upper >= inner.upper - 1e-8).all()


def test_the_domain_cuts_the_box():
    network = rl.from_layers([([[1.0]], None)])
    found = rl.output_bounds(network, [[0.9]], 0.5, domain=rl.Box(0, 1))
    assert found.upper.item() == pytest.approx(1.0)
    assert found.lower.item() == pytest.approx(0.4)


def loop_model(seed=0, size=6):
    generator = torch.Generator().manual_seed(seed)
    A = torch.randn(size, size, generator=generator).double()
    A = 0.8 * A / A.abs().sum(1).max()
    B = torch.randn(size, 3, generator=generator).double()
    C = torch.randn(2, size, generator=generator).double()
    return rl.ImplicitModel(A, B, C, None, "relu", a=torch.ones(size))


def picard(model, u):
    A, B, C = (getattr(model, k).to_dense() for k in "ABC")
    state = torch.zeros(len(u), model.n).double()
    for _ in range(300):
        state = torch.relu(state @ A.T + u @ B.T + model.a.double())
    return state @ C.T + model.d.double()


@pytest.mark.parametrize("seed", range(3))
def test_models_with_loops(seed):
    model = loop_model(seed)
    x = torch.ones(1, 3).double()
    y = picard(model, corners_and_points(x, 0.5))
    order = ("exact", "triangle", "interval", "sensitivity")
    found = {m: rl.output_bounds(model, x, 0.5, method=m) for m in (*order, "local")}
    for bounds in found.values():
        assert (bounds.lower <= y + 1e-8).all()
        assert (bounds.upper >= y - 1e-8).all()
    for inner, outer in pairwise(order):
        assert (found[inner].lower >= found[outer].lower - 1e-6).all()
        assert (found[inner].upper <= found[outer].upper + 1e-6).all()
    pair = rl.output_bounds(model, x, 0.5, method="interval", labels=[0])
    apart = found["interval"].lower[0, 0] - found["interval"].upper[0, 1]
    assert pair.lower[0, 1] >= apart - 1e-9


def test_a_network_as_a_model_has_the_same_bounds():
    network, x = NETWORKS["absolute_value"]()
    model = rl.implicit_model(network)
    for method in ("sensitivity", "triangle", "exact"):
        one = rl.output_bounds(network, x, 0.3, method=method)
        two = rl.output_bounds(model, x, 0.3, method=method)
        assert torch.allclose(one.lower, two.lower, atol=1e-6)
        assert torch.allclose(one.upper, two.upper, atol=1e-6)


def test_refusals():
    network, x = NETWORKS["wide"]()
    with pytest.raises(InvalidArgumentError, match="method 'guess'"):
        rl.output_bounds(network, x, 0.1, method="guess")
    with pytest.raises(InvalidArgumentError, match="-1"):
        rl.output_bounds(network, x, -1.0)
    with pytest.raises(InvalidArgumentError, match="norm is 3"):
        rl.output_bounds(network, x, 1.0, norm=3)
    with pytest.raises(InvalidArgumentError, match="both labels and rows"):
        rl.output_bounds(network, x, 1.0, labels=[0] * 5, rows=[[1, 0]])
    with pytest.raises(InvalidArgumentError, match="0 to 1"):
        rl.output_bounds(network, x, 1.0, labels=[7] * 5)
    with pytest.raises(InvalidArgumentError, match="whole numbers from 0 to 1"):
        rl.output_bounds(network, x, 1.0, labels=[0.5] * 5)
    with pytest.raises(InvalidArgumentError, match="cannot use radius: a str"):
        rl.output_bounds(network, x, "far")
    with pytest.raises(InvalidArgumentError, match="outside"):
        rl.output_bounds(network, x, 1.0, domain=rl.Box(90, 99))
    with pytest.raises(InvalidArgumentError, match="shape is"):
        rl.output_bounds(network, x, torch.ones(7))
    curved, x = NETWORKS["smooth"]()
    with pytest.raises(NotPolyhedralError, match="gelu"):
        rl.output_bounds(curved, x, 0.1, method="triangle")
    coupled, x = NETWORKS["product"]()
    with pytest.raises(UnboundedError, match="product"):
        rl.output_bounds(coupled, x, 0.1, method="sensitivity")
    with pytest.raises(InvalidArgumentError, match="loops have none"):
        rl.output_bounds(loop_model(), [[0.0] * 3], 0.1, method="relaxation")
    unstable = rl.ImplicitModel([[2.0]], [[1.0]], [[1.0]], None, "relu")
    with pytest.raises(NotWellPosedError, match="less than 1"):
        rl.output_bounds(unstable, [[0.0]], 0.1, method="interval")


def test_no_inputs():
    network, x = NETWORKS["wide"]()
    for method in METHODS:
        assert rl.output_bounds(network, x[:0], 0.1, method=method).lower.shape == (
            0,
            2,
        )
