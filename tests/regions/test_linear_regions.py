"""Full enumerations against linear programs over signs, sampling and known counts."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import NETWORKS
from scipy.optimize import linprog

import relulens as rl
from relulens.errors import InvalidArgumentError, NotPolyhedralError

COUNTS = {
    "a": ({"relu0": 756, "relu1": 872}, 922, 1793),
    "e": ({"relu0": 2020, "relu1": 8892}, 10262, 29353),
    "g": ({"relu0": 1353, "relu1": 4899}, 7928, 28164),
    "h3": ({"relu0": 64, "relu1": 116}, None, None),
    "h4": ({"relu0": 33, "relu1": 79}, None, None),
}


def standard(shared, name):
    table = np.load(shared / "cases" / f"{name}.npz")
    pairs = [
        (table[f"W{i}"], table[f"b{i}"]) for i in range(9) if f"W{i}" in table.files
    ]
    return rl.from_layers(pairs), rl.Box(table["lo"], table["hi"])


def whole_network(seed, sizes, most=2):
    draw = np.random.default_rng(seed)
    pairs = [
        (
            draw.integers(-most, most + 1, (b, a)).astype(float),
            draw.integers(-most, most + 1, b).astype(float),
        )
        for a, b in itertools.pairwise(sizes)
    ]
    return rl.from_layers(pairs), pairs


def feasible(rows, right):
    """Tell whether rows x < right has a solution in the open set, by HiGHS."""
    n = rows.shape[1]
    left = np.hstack([rows, np.linalg.norm(rows, axis=1)[:, None]])
    idle = left[:, -1] == 0
    if np.any(right[idle] <= 0):
        return False
    left = left[~idle]
    found = linprog(
        np.append(np.zeros(n), -1.0),
        A_ub=left,
        b_ub=right[~idle],
        bounds=[(None, None)] * n + [(None, 1.0)],
        method="highs",
    )
    return found.status == 0 and -found.fun > 1e-7


def by_signs(pairs, low, high):  # noqa: C901
    """Return all patterns by a linear program a sign, unit after unit."""
    n = pairs[0][0].shape[1]
    sides = [
        (sign * np.eye(n)[i], bound)
        for i in range(n)
        for sign, bound in ((1.0, high), (-1.0, -low))
        if np.isfinite(bound)
    ]
    open_ = [((), [], np.eye(n), np.zeros(n))]
    for weight, bias in pairs[:-1]:
        after = []
        for code, cuts, slope, offset in open_:
            own, shift = weight @ slope, weight @ offset + bias
            partial = [((), cuts)]
            for k in range(len(bias)):
                grown = []
                for bits, held in partial:
                    for bit, sign in ((1, -1.0), (0, 1.0)):
                        row, right = sign * own[k], -sign * shift[k]
                        if not np.any(own[k]):
                            # A constant unit is on only if it is positive.
                            if bit == int(shift[k] > 0):
                                grown.append(((*bits, bit), held))
                            continue
                        every = [*held, (row, right)]
                        both = every + sides
                        rows = np.array([r for r, _ in both])
                        if feasible(rows, np.array([b for _, b in both])):
                            grown.append(((*bits, bit), every))
                partial = grown
            for bits, held in partial:
                on = np.array(bits, float)
                after.append((
                    code + bits,
                    held,
                    on[:, None] * own,
                    on * shift,
                ))
        open_ = after
    return {code for code, *_ in open_}


def patterns(found):
    table = torch.cat(list(found.codes.values()), dim=1)
    return {tuple(row) for row in table.tolist()}


@pytest.mark.parametrize("name", COUNTS)
def test_standard_cases_have_their_known_counts(shared, name):
    network, box = standard(shared, name)
    found = rl.linear_regions(network, box)
    counts, vertices, edges = COUNTS[name]
    assert found.counts == counts
    assert found.complete
    assert found.count == list(counts.values())[-1]
    if vertices is not None:
        assert (len(found.vertices), found.edges) == (vertices, edges)
    check = found.check()
    assert check.volume == pytest.approx(check.domain_volume, rel=1e-12)
    assert check.distinct == check.count
    assert check.witnessed == check.count


def test_a_unit_that_is_zero_on_a_region_does_not_spoil_its_witness():
    # On x > 0 the last unit is 5 x - 3 x - 2 x; the others only make odd centres.
    first = np.array([[5.0], [3.0], [2.0], [7.0], [11.0], [13.0]])
    last = np.array([[1.0, -1.0, -1.0, 0.0, 0.0, 0.0]])
    network = rl.from_layers([
        (first, [0.0, 0.0, 0.0, -3.0, -4.0, -5.0]),
        (last, None),
        (np.ones((1, 1)), None),
    ])
    found = rl.linear_regions(network, rl.Box(-1, 2))
    rounded = rl.activation_pattern(network, found.points)["relu1"]
    assert (rounded != found.codes["relu1"]).any()
    check = found.check()
    assert check.witnessed == check.count == 5


def test_the_whole_plane_has_its_known_count(shared):
    network, _ = standard(shared, "a")
    found = rl.linear_regions(network, rl.Box(-torch.inf, torch.inf))
    assert found.count == 1210
    assert int((~found.bounded).sum()) == 100


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("low", "high"), [(-3.0, 3.0), (-np.inf, np.inf)])
def test_degenerate_whole_number_networks_match_programs_over_signs(seed, low, high):
    sizes = ((2, 5, 3, 1), (3, 4, 3, 1), (1, 4, 3, 1))[seed % 3]
    network, pairs = whole_network(seed, sizes)
    found = rl.linear_regions(network, rl.Box(low, high))
    assert found.count == len(patterns(found))
    assert patterns(found) == by_signs(pairs, low, high)


def test_a_bias_free_arrangement_in_space():
    pairs = [(np.vstack([np.eye(3), np.ones((1, 3)), np.eye(3)]), None)]
    network = rl.from_layers([*pairs, (np.ones((1, 7)), None)])
    found = rl.linear_regions(network, rl.Box(-1, 1))
    # Eight orthants, of which the plane through the origin cuts all but two.
    assert found.count == 14
    assert found.volumes.sum() == pytest.approx(8.0)
    assert rl.linear_regions(network, rl.Box(-torch.inf, torch.inf)).count == 14


def test_coincident_planes_make_one_face():
    network = rl.from_layers([
        ([[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]], None),
        (np.ones((1, 3)), None),
    ])
    found = rl.linear_regions(network, rl.Box([-1.0, 0.0], [2.0, 1.0]))
    assert found.count == 2
    assert sorted(found.volumes.tolist()) == [1.0, 2.0]
    assert found.neighbours.pairs.tolist() == [[0, 1]]
    assert found.neighbours.layer == ("relu0",)


def test_sampled_patterns_are_all_found(shared):
    network, box = standard(shared, "g")
    found = patterns(rl.linear_regions(network, box))
    x = torch.rand(20_000, 4, dtype=torch.float64) * 2 - 1
    pattern = rl.activation_pattern(network, x)
    codes = torch.cat([pattern[name] for name in pattern], dim=1)
    assert {tuple(row) for row in codes.tolist()} <= found


def test_flipping_a_unit_over_a_face_gives_the_neighbour(shared):
    network, box = standard(shared, "g")
    found = rl.linear_regions(network, box)
    pairs = found.neighbours.pairs
    first, last = found.codes["relu0"], found.codes["relu1"]
    across = torch.cat([first, last], dim=1)
    differ = (across[pairs[:, 0]] != across[pairs[:, 1]]).sum(1)
    assert (differ == 1).all()
    assert len(pairs) == 17211


def test_a_polytope_as_domain_and_an_unbounded_one():
    network, pairs = whole_network(1, (2, 5, 3, 1))
    outer = rl.from_layers([
        (np.vstack([np.eye(2), -np.eye(2)]), [2.0] * 4),
        (np.ones((1, 4)), None),
    ])
    square = rl.region_polytope(outer, [[0.0, 0.0]])[0]
    found = rl.linear_regions(network, square)
    assert patterns(found) == by_signs(pairs, -2.0, 2.0)
    assert found.volumes.sum() == pytest.approx(16.0)
    half = rl.linear_regions(network, rl.Box([0.0, -torch.inf], torch.inf))
    whole = patterns(rl.linear_regions(network, rl.Box(-torch.inf, torch.inf)))
    assert patterns(half) <= whole
    assert half.count < len(whole)


def test_maxima_clamps_and_skips_match_sampled_patterns():
    module = torch.nn.Sequential(
        torch.nn.Linear(2, 8),
        torch.nn.Unflatten(1, (1, 8)),
        torch.nn.MaxPool1d(3, 2, padding=1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 5),
        torch.nn.Hardtanh(),
        torch.nn.Linear(5, 4),
        torch.nn.LeakyReLU(0.1),
        torch.nn.Linear(4, 1),
    ).double()
    network = rl.from_torch(module, torch.zeros(1, 2, dtype=torch.float64))
    found = rl.linear_regions(network, rl.Box(-3, 3))
    x = torch.rand(60_000, 2, dtype=torch.float64) * 6 - 3
    pattern = rl.activation_pattern(network, x)
    codes = torch.cat([pattern[name].long() for name in pattern], dim=1)
    sampled = {tuple(row) for row in codes.tolist()}
    assert sampled <= patterns(found)
    assert found.check().witnessed == found.count
    assert found.volumes.sum() == pytest.approx(36.0)
    big = found.volumes > 0.02
    table = torch.cat([code.long() for code in found.codes.values()], dim=1)[big]
    assert {tuple(row) for row in table.tolist()} <= sampled


@given(st.integers(0, 10_000))
def test_the_volumes_add_up_and_layers_only_refine(seed):
    network, _ = whole_network(seed, (3, 4, 3, 1), most=3)
    found = rl.linear_regions(network, rl.Box([-1.0, -2.0, 0.0], [1.0, 3.0, 0.5]))
    assert found.volumes.sum() == pytest.approx(5.0)
    counts = list(found.counts.values())
    assert counts == sorted(counts)
    first = rl.linear_regions(
        network, rl.Box([-1.0, -2.0, 0.0], [1.0, 3.0, 0.5]), layers=0
    )
    assert first.count == counts[0]


def test_a_budget_gives_a_part_and_says_so(shared):
    network, box = standard(shared, "g")
    found = rl.linear_regions(network, box, budget=2000)
    assert not found.complete
    assert found.count <= 2000
    assert "2,000 cells" in found.reason
    assert found.counts == {"relu0": 1353}


def test_bad_domains_are_refused():
    network, _ = whole_network(0, (2, 3, 1))
    with pytest.raises(InvalidArgumentError, match="1 of the box' 2 sides"):
        rl.linear_regions(network, rl.Box([0.0, 1.0], [1.0, 1.0]))
    with pytest.raises(InvalidArgumentError, match="shape"):
        rl.linear_regions(network, rl.Box([0.0] * 3, [1.0] * 3))
    with pytest.raises(InvalidArgumentError, match="budget is 0"):
        rl.linear_regions(network, rl.Box(0, 1), budget=0)


def test_smooth_nodes_are_named():
    network, _ = NETWORKS["smooth"]()
    with pytest.raises(NotPolyhedralError, match="gelu"):
        rl.linear_regions(network, rl.Box(0, 1))
