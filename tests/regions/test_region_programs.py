"""Enumerations by linear programs against HiGHS, vertices, samples and known counts."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import relulens as rl
from relulens.errors import InvalidArgumentError
from relulens.numerics.kernels import region_programs as kernel
from relulens.numerics.linear_programs import Inequalities


def drawn(seed, sizes):
    draw = np.random.default_rng(seed)
    pairs = [
        (draw.standard_normal((b, a)), draw.standard_normal(b))
        for a, b in itertools.pairwise(sizes)
    ]
    return rl.from_layers(pairs), pairs


def patterns(found):
    table = torch.cat([code.long() for code in found.codes.values()], dim=1)
    return {tuple(row) for row in table.tolist()}


def widest(rows, right):
    """Return the radius of the largest ball in rows x <= right, by HiGHS."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    cost = np.append(np.zeros(rows.shape[1]), 1.0)
    return Inequalities(np.hstack([rows, norms]), right).maximise(cost).value


def by_highs(pairs, rows, right):
    """Return all patterns in a polytope, sign by sign, by programs of HiGHS."""
    n = rows.shape[1]
    open_ = [((), rows, right, np.eye(n), np.zeros(n))]
    for weight, bias in pairs[:-1]:
        after = []
        for code, held, bounds, slope, offset in open_:
            own, shift = weight @ slope, weight @ offset + bias
            parts = [((), held, bounds)]
            for row, value in zip(own, shift, strict=True):
                grown = [
                    ((*bits, bit), np.vstack([h, s * row]), np.append(b, -s * value))
                    for bits, h, b in parts
                    for bit, s in ((1, -1.0), (0, 1.0))
                ]
                parts = [part for part in grown if widest(*part[1:]) > 1e-9]
            after += [
                (code + bits, h, b, np.array(bits)[:, None] * own, bits * shift)
                for bits, h, b in parts
            ]
        open_ = after
    return {code for code, *_ in open_}


def cube(n, side=1.0):
    rows = np.vstack([np.eye(n), -np.eye(n)])
    return rows, np.full(2 * n, side)


@pytest.mark.parametrize("sizes", [(7, 5, 3, 1), (11, 4, 3, 1), (1, 3, 3, 1)])
def test_patterns_are_those_of_another_solver(sizes):
    network, pairs = drawn(sizes[0], sizes)
    found = rl.linear_regions(network, rl.Box(-1, 1), method="programs")
    assert found.complete
    assert found.undecided == 0
    assert patterns(found) == by_highs(pairs, *cube(sizes[0]))
    assert found.count == len(patterns(found)) == found.check().witnessed


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_patterns_are_those_of_cells_with_vertices(n):
    network, _ = drawn(n, (n, 8, 6, 1))
    box = rl.Box(np.arange(n) - 3.0, np.arange(n) * 2.0)
    cells = rl.linear_regions(network, box)
    found = rl.linear_regions(network, box, method="programs")
    assert found.counts == cells.counts
    assert patterns(found) == patterns(cells)


def test_a_case_of_eight_inputs_has_its_known_count():
    torch.manual_seed(18)
    layers = [torch.nn.Linear(*s) for s in ((8, 12), (12, 12), (12, 1))]
    pairs = [(m.weight.detach().double(), m.bias.detach().double()) for m in layers]
    found = rl.linear_regions(rl.from_layers(pairs), rl.Box(-1, 1))
    assert found.count == 11955
    assert found.complete
    assert found.complex is None
    check = found.check()
    assert check.witnessed == check.distinct == 11955


def test_six_inputs_have_their_known_count(shared):
    table = np.load(shared / "cases" / "i6.npz")
    pairs = [(table[f"W{i}"], table[f"b{i}"]) for i in range(3)]
    box = rl.Box(table["lo"], table["hi"])
    found = rl.linear_regions(rl.from_layers(pairs), box, method="programs")
    assert found.count == 66339


def test_a_polytope_as_domain():
    network, pairs = drawn(3, (7, 5, 3, 1))
    rows, right = cube(7, 1.5)
    rows, right = np.vstack([rows, np.ones(7)]), np.append(right, 0.5)
    outer = rl.from_layers([(-rows, right), (np.ones((1, 15)), None)])
    domain = rl.region_polytope(outer, np.zeros((1, 7)))[0]
    found = rl.linear_regions(network, domain)
    assert found.complete
    assert patterns(found) == by_highs(pairs, rows, right)
    assert (found.points.sum(1) < 0.5).all()


def test_maxima_clamps_and_skips_match_cells_with_vertices():
    module = torch.nn.Sequential(
        torch.nn.Linear(3, 8),
        torch.nn.Unflatten(1, (1, 8)),
        torch.nn.MaxPool1d(3, 2, padding=1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 5),
        torch.nn.Hardtanh(),
        torch.nn.Linear(5, 4),
        torch.nn.LeakyReLU(0.1),
        torch.nn.Linear(4, 1),
    ).double()
    network = rl.from_torch(module, torch.zeros(1, 3, dtype=torch.float64))
    cells = rl.linear_regions(network, rl.Box(-3, 3))
    found = rl.linear_regions(network, rl.Box(-3, 3), method="programs")
    assert patterns(found) == patterns(cells)
    assert found.counts == cells.counts
    assert found.check().witnessed == found.count


def whole(seed, sizes):
    draw = np.random.default_rng(seed)
    pairs = [
        (
            draw.integers(-2, 3, (b, a)).astype(float),
            draw.integers(-2, 3, b).astype(float),
        )
        for a, b in itertools.pairwise(sizes)
    ]
    return rl.from_layers(pairs)


@pytest.mark.parametrize("seed", range(8))
def test_degenerate_whole_number_networks_are_decided(seed):
    network = whole(seed, ((2, 6, 4, 1), (3, 5, 4, 1), (4, 5, 3, 1))[seed % 3])
    box = rl.Box(-3, 3)
    cells = rl.linear_regions(network, box)
    found = rl.linear_regions(network, box, method="programs")
    assert patterns(found) == patterns(cells)
    assert found.undecided == 0
    assert found.complete


def test_planes_through_one_point_and_twice_the_same_in_eight_inputs():
    planes = np.vstack([np.eye(8), np.eye(8)[:3], -2 * np.eye(8)[2:4], np.ones((1, 8))])
    network = rl.from_layers([(planes, None), (np.ones((1, len(planes))), None)])
    found = rl.linear_regions(network, rl.Box(-1, 1))
    # Of the 256 orthants the last plane cuts all but two.
    assert found.count == 2 * 256 - 2
    assert found.complete
    assert found.decided > 0


def test_samples_of_many_inputs_are_all_found():
    network, _ = drawn(5, (14, 6, 5, 1))
    found = rl.linear_regions(network, rl.Box(-2, 2))
    assert found.complete
    x = torch.rand(20_000, 14, dtype=torch.float64) * 4 - 2
    pattern = rl.activation_pattern(network, x)
    codes = torch.cat([pattern[name] for name in pattern], dim=1)
    assert {tuple(row) for row in codes.tolist()} <= patterns(found)


def test_the_orthants_of_twelve_inputs():
    network = rl.from_layers([(np.eye(12), None), (np.ones((1, 12)), None)])
    assert rl.linear_regions(network, rl.Box(-1, 2)).count == 2**12
    inside = rl.linear_regions(network, rl.Box(0.5, 2))
    assert inside.codes["relu0"].tolist() == [[1] * 12]


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_inputs_in_other_units_have_the_same_regions(seed):
    network, pairs = drawn(seed, (7, 4, 3, 1))
    scale = 2.0 ** np.random.default_rng(seed).integers(-8, 8, 7)
    other = rl.from_layers([(pairs[0][0] / scale, pairs[0][1]), *pairs[1:]])
    found = rl.linear_regions(network, rl.Box(-1, 1))
    assert patterns(rl.linear_regions(other, rl.Box(-scale, scale))) == patterns(found)


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_the_kernel_finds_the_maxima_of_another_solver(seed):
    draw = np.random.default_rng(seed)
    n, extra = int(draw.integers(1, 9)), int(draw.integers(0, 12))
    # Some rows twice, and some through the corner that the walk starts from.
    more = draw.standard_normal((extra, n))
    right = draw.random(extra) + np.where(draw.random(extra) < 0.3, 0.0, 0.1)
    tight = draw.random(extra) < 0.4
    right = np.where(tight, more.sum(1), np.maximum(right, more.sum(1)))
    rows = np.vstack([np.eye(n), -np.eye(n), more, more[: extra // 2]])
    bounds = np.concatenate([np.ones(2 * n), right, right[: extra // 2]])
    cost, size = draw.standard_normal(n), len(rows)
    x, basis, inverse = np.ones(n), np.arange(n), np.eye(n)
    work = (np.empty(size), np.empty(size), np.empty((4, n)))
    rt = np.ascontiguousarray(rows.T)
    result, value = kernel.maximise(
        cost, 0.5, np.inf, x, basis, inverse, rt, bounds, size, work, np.zeros(7, int)
    )
    best = Inequalities(rows, bounds).maximise(cost).value + 0.5
    assert result == kernel.BEST
    assert value == pytest.approx(best, abs=1e-9)
    assert (rows @ x <= bounds + 1e-9).all()
    bound = kernel.upper_bound(
        cost, 0.5, 0.0, basis, inverse, rt, bounds, np.zeros(size)
    )
    assert value <= bound + 1e-14
    assert bound == pytest.approx(best, abs=1e-9)


def test_a_budget_gives_a_part_and_says_so():
    network, _ = drawn(0, (8, 12, 12, 1))
    found = rl.linear_regions(network, rl.Box(-1, 1), budget=5000)
    assert not found.complete
    assert found.count == 5000
    assert "5,000 regions" in found.reason
    assert found.check().witnessed == found.check().distinct == 5000


def test_bad_questions_are_refused():
    network, _ = drawn(0, (11, 3, 1))
    with pytest.raises(InvalidArgumentError, match="22 of the box' 22 sides"):
        rl.linear_regions(network, rl.Box(-torch.inf, torch.inf))
    with pytest.raises(InvalidArgumentError, match="reads 11 numbers"):
        rl.linear_regions(network, rl.Box(0, 1), method="vertices")
    with pytest.raises(InvalidArgumentError, match="'corners'"):
        rl.linear_regions(network, rl.Box(0, 1), method="corners")
    half = rl.from_layers([(np.eye(11), None), (np.ones((1, 11)), None)])
    endless = rl.region_polytope(half, np.ones((1, 11)))[0]
    with pytest.raises(InvalidArgumentError, match="unbounded along 11 of 11"):
        rl.linear_regions(network, endless)
    found = rl.linear_regions(network, rl.Box(0, 1))
    with pytest.raises(InvalidArgumentError, match="cannot return volumes"):
        _ = found.volumes
