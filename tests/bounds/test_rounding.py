"""No bound is off by rounding: exact rationals at points, with no tolerance."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

import relulens as rl
from relulens.bounds.layer_bounds import layer_bounds
from relulens.bounds.rounding import parts_by_absolute_value, roundings
from relulens.graph.maps import AlongAxis, Identity, Reshape, composed
from relulens.numerics.bounded_programs import Program, safe_minimum


def exact_outputs(layers, point):
    """Return the network's outputs in exact rationals."""
    value = [Fraction(v) for v in point]
    for depth, (weight, bias) in enumerate(layers):
        value = [
            sum((Fraction(w) * v for w, v in zip(row, value, strict=True)), Fraction(b))
            for row, b in zip(weight.tolist(), bias.tolist(), strict=True)
        ]
        if depth + 1 < len(layers):
            value = [max(v, Fraction(0)) for v in value]
    return value


def random_layers(seed, sizes=(5, 7, 7, 3)):
    random = np.random.default_rng(seed)
    # Magnitudes far apart make sums cancel.
    return [
        (
            random.normal(size=(b, a)) * 10.0 ** random.integers(-6, 7, size=(b, a)),
            random.normal(size=b),
        )
        for a, b in pairwise(sizes)
    ]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("method", ["interval", "relaxation"])
def test_a_point_lies_between_its_bounds_exactly(seed, method):
    layers = random_layers(seed)
    network = rl.from_layers(layers)
    x = np.random.default_rng(seed + 99).normal(size=(1, 5))
    found = layer_bounds(network, x, x, method=method)
    wanted = exact_outputs(layers, x[0])
    for low, high, value in zip(
        found.output[0][0].tolist(), found.output[1][0].tolist(), wanted, strict=True
    ):
        assert Fraction(low) <= value <= Fraction(high)
        assert Fraction(low) < Fraction(high)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", ["sensitivity", "local", "triangle"])
def test_corners_lie_between_the_bounds_exactly(seed, method):
    layers = random_layers(seed)
    network = rl.from_layers(layers)
    random = np.random.default_rng(seed)
    x = random.normal(size=(1, 5))
    found = rl.output_bounds(network, x, 2.0**-20, method=method)
    for signs in random.choice([-1.0, 1.0], size=(6, 5)):
        steps = [Fraction(2) ** -20 * int(sign) for sign in signs]
        point = [Fraction(v) + s for v, s in zip(x[0], steps, strict=True)]
        wanted = exact_outputs(layers, point)
        for j, value in enumerate(wanted):
            assert Fraction(float(found.lower[0, j])) <= value
            assert value <= Fraction(float(found.upper[0, j]))


def test_a_folded_row_keeps_what_its_parts_round():
    big = 2.0**60
    layers = [(np.array([[1.0], [1.0]]), np.array([big, big]))]
    found = rl.output_bounds(rl.from_layers(layers), [[0.5]], 0.0, rows=[[1.0, -1.0]])
    assert found.lower[0, 0] <= 0 <= found.upper[0, 0]


def test_parts_of_a_product_count_for_rounding():
    one = AlongAxis(torch.tensor([[1e8], [-1e8]]).double(), (1,), 0)
    two = AlongAxis(torch.tensor([[1.0, 1.0]]).double(), (2,), 0)
    product = composed(one, Reshape((2,), (2,)), two)
    assert product.absolute().map.apply(torch.ones(1, 1).double()).item() == 0.0
    assert parts_by_absolute_value(product).apply(torch.ones(1, 1).double()) == 2e8
    assert roundings(product) > roundings(Identity((1,)))


def test_any_multipliers_give_a_lower_bound():
    random = np.random.default_rng(0)
    rows = csr_array(random.normal(size=(4, 3)))
    program = Program(
        rows=rows,
        row_low=np.array([-1.0, -np.inf, -1.0, -2.0]),
        row_high=np.array([np.inf, 1.0, 1.0, 2.0]),
        low=-np.ones(3),
        high=np.ones(3),
        whole=np.zeros(3, dtype=bool),
    )
    cost = random.normal(size=3)
    points = random.uniform(-1, 1, size=(4000, 3))
    values = points @ rows.toarray().T
    inside = ((values >= program.row_low) & (values <= program.row_high)).all(1)
    least = (points[inside] @ cost).min()
    for _ in range(50):
        assert safe_minimum(program, cost, random.normal(size=4)) <= least
    assert safe_minimum(program, cost, np.full(4, np.nan)) <= least
