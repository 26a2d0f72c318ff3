"""Exact signs of slices beside fractions, and what they decide where lines meet."""

from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NETWORKS, dense, finish, relu, start, step

import relulens as rl
from relulens.graph.groups import Groups
from relulens.graph.maps import Reshape
from relulens.graph.nodes import Affine, Input, TwoSlope
from relulens.graph.polyhedral import polyhedral
from relulens.importers.builder import with_batch
from relulens.regions import slice_contest, whole_maps
from relulens.regions.slice_exact import ExactSigns, Spent
from relulens.regions.slice_mesh import OUTSIDE, Origin

AXES = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
SQUARE = [[-4, -4], [4, -4], [4, 4], [-4, 4]]


def fractions_of(array):
    return [Fraction(v) for v in np.asarray(array, float).ravel().tolist()]


def values_at(network, point):
    """Return every node's entries at an input of fractions, with no code shared."""
    values = []
    for node in network.nodes:
        if isinstance(node, Input):
            values.append(list(point))
        elif isinstance(node, Affine):
            size = int(np.prod(node.shape))
            bias = torch.zeros(node.shape) if node.bias is None else node.bias
            total = fractions_of(bias.expand(node.shape))
            for term in node.terms:
                matrix = term.map.to_dense().tolist()
                for i in range(size):
                    row = zip(matrix[i], values[term.source], strict=True)
                    total[i] += sum(Fraction(w) * v for w, v in row if w)
            values.append(total)
        elif isinstance(node, TwoSlope):
            slopes = zip(
                fractions_of(node.negative.expand(node.shape)),
                fractions_of(node.positive.expand(node.shape)),
                values[node.source],
                strict=True,
            )
            values.append([(high if z > 0 else low) * z for low, high, z in slopes])
        else:
            index = node.groups.ragged.index.tolist()
            ends = node.groups.ragged.pointers.tolist()
            z = values[node.source]
            values.append([max(z[i] for i in index[a:b]) for a, b in pairwise(ends)])
    return values


def input_at(plane, s, t):
    rows = (plane.origin, *plane.directions)
    start, first, second = (fractions_of(row) for row in rows)
    each = zip(start, first, second, strict=True)
    return [a + s * b + t * c for a, b, c in each]


def code_of(partition, cell):
    pattern = partition.pattern(cell)
    return tuple(int(v) for name in pattern for v in pattern[name][0].tolist())


def made_of(network, plane, seconds=60.0):
    corners = np.array(SQUARE, float)
    region = polyhedral(network, network.output)
    spent = Spent(seconds=seconds)
    return ExactSigns(region=region, plane=plane, corners=corners, spent=spent)


def corners_and(first, second, node, unit, other):
    """Return the origin of four corners and of further vertices between two."""
    none = np.full(4, OUTSIDE)
    rows = [np.arange(4), np.arange(4), none, np.arange(4), none]
    added = (first, second, node, unit, other)
    both = [np.append(a, b).astype(np.int64) for a, b in zip(rows, added, strict=True)]
    names = ("first", "second", "node", "unit", "other")
    return Origin(**dict(zip(names, both, strict=True)))


@pytest.mark.parametrize("stored", [0, 10**6])
@pytest.mark.parametrize("name", ["max_pool", "parametric", "residual", "clamp"])
def test_places_and_signs_are_those_of_fractions(name, stored, monkeypatch):
    monkeypatch.setattr(whole_maps, "_STORED", stored)
    network, _ = NETWORKS[name]()
    draw = torch.Generator().manual_seed(5)
    shape = network.input_shape
    origin, one, two = torch.randn((3, *shape), generator=draw).double()
    plane = rl.Plane(origin, torch.stack([one, two]))
    exact = made_of(network, plane)
    # A unit of the first nonlinear node with opposite signs at two of the corners.
    node = next(n for n in network.nodes if isinstance(n, TwoSlope)).source
    at_corners = [
        values_at(network, input_at(plane, *map(Fraction, corner))) for corner in SQUARE
    ]
    pairs = [
        (a, b, unit)
        for a, b in combinations(range(4), 2)
        for unit in range(len(at_corners[0][node]))
        if at_corners[a][node][unit] * at_corners[b][node][unit] < 0
    ]
    a, b, unit = pairs[len(pairs) // 2]
    made = corners_and(a, b, node, unit, -1)
    s, t, w = exact.place(4, made)
    here = values_at(network, input_at(plane, Fraction(s, w), Fraction(t, w)))
    if all(isinstance(n, Affine | Input) for n in network.nodes[: node + 1]):
        assert here[node][unit] == 0
    for index, values in enumerate(here):
        for j, value in list(enumerate(values))[:: 1 + len(values) // 7]:
            sign = exact.sign(4, index, j, -1, made)
            assert sign == (value > 0) - (value < 0)
            apart = value - values[0]
            sign = exact.sign(4, index, j, 0, made)
            assert sign == (apart > 0) - (apart < 0)


def test_no_time_leaves_signs_undecided():
    network, _ = NETWORKS["residual"]()
    size = network.input_size
    plane = rl.Plane(torch.zeros(size), torch.eye(size)[:2])
    exact = made_of(network, plane, seconds=0.0)
    made = corners_and(0, 1, 1, 0, -1)
    assert exact.sign(2, network.output, 0, -1, made) is None
    assert (exact.spent.decided, exact.spent.undecided) == (0, 1)


def cells_of(lines):
    """Return how many pieces lines a x + b y + c cut the square into, by Euler."""
    inside = {}
    half = {tuple(Fraction(v) / next(u for u in line[:2] if u) for v in line)
            for line in lines}  # fmt: skip
    count = 1
    for a, b, c in half:
        at = [a * x + b * y + c for x, y in SQUARE]
        count += min(at) < 0 < max(at)
    for (a, b, c), (d, e, f) in combinations(half, 2):
        det = a * e - b * d
        if det:
            x, y = (b * f - c * e) / det, (c * d - a * f) / det
            if abs(x) < 4 and abs(y) < 4:
                inside.setdefault((x, y), set()).update([(a, b, c), (d, e, f)])
    return count + sum(len(through) - 1 for through in inside.values())


def assert_cells(lines):
    rows = np.array([[float(v) for v in line] for line in lines])
    exact = [[Fraction(v) for v in row] for row in rows.tolist()]
    network = rl.from_layers([
        (rows[:, :2], rows[:, 2]),
        (np.ones((1, len(rows))), None),
    ])
    found = rl.slice_partition(network, AXES, SQUARE)
    assert found.count == cells_of(exact)
    assert found.certificate.euler == 1
    assert found.certificate.undecided_signs == 0
    return found


def test_lines_through_one_point_make_one_vertex():
    # All of these pass through (1/3, 1/3), which no float is.
    lines = [(3, 0, -1), (0, 3, -1), (3, 3, -2), (3, -3, 0), (6, 3, -3), (3, 6, -3)]
    found = assert_cells(lines)
    assert found.count == 12
    assert found.certificate.exact_signs > 0
    for moved in range(len(lines)):
        near = [list(line) for line in lines]
        near[moved][2] = near[moved][2] + 2.0**-50
        assert assert_cells(near).count == 12 + 4


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=9),
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(4, 11)),
    st.integers(0, 5),
)
def test_bundles_of_lines_are_cut_as_fractions_say(slopes, through, moved):
    p, q, w = through
    lines = [(a * w, b * w, -a * p - b * q) for a, b in slopes if a or b]
    if moved < len(lines):
        a, b, c = lines[moved]
        lines[moved] = (a, b, c + 2.0**-40)
    lines += [(1, 2, 0), (2, -1, 1)]
    assert_cells(lines)


def test_bundles_that_meet_inside_cells_of_an_earlier_layer():
    """Second-layer units that are equal on one side of a kink meet it together."""
    first = [[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]
    second = [[3.0, 0, 1], [0, 3.0, 1], [3.0, 3.0, 1], [3.0, -3.0, 2], [6.0, 3.0, 5]]
    biases = [-1.0, -1.0, -2.0, 0.0, -3.0]
    network = rl.from_layers([
        (first, None),
        (second, biases),
        (np.ones((1, 5)), None),
    ])
    found = rl.slice_partition(network, AXES, SQUARE)
    assert found.certificate.euler == 1
    assert found.certificate.undecided_signs == 0
    for cell in range(found.count):
        inner = found.polygon(cell).mean(0)
        point = fractions_of(inner)
        values = values_at(network, point)
        bends = [node for node in network.nodes if isinstance(node, TwoSlope)]
        code = [int(z > 0) for node in bends for z in values[node.source]]
        assert code_of(found, cell) == tuple(code)
    places = np.random.default_rng(0).uniform(-4, 4, (3000, 2))
    seen = rl.activation_pattern(network, torch.from_numpy(places))
    sampled = torch.cat([seen[name].long() for name in seen], 1)
    kept = {code_of(found, cell) for cell in range(found.count)}
    assert {tuple(row) for row in sampled.tolist()} <= kept
    assert len(kept) == found.count
    # All five meet at (1/3, 1/3) where the last of the first layer is zero, too.
    third = Fraction(1, 3)
    at = values_at(network, [third, third])
    assert all(v == 0 for v in at[network.nodes[-2].source])
    near = np.abs(found.vertices.numpy() - 1 / 3).max(1)
    assert (near < 1e-9).sum() == 1


def place_of(vertex, origin, network, known):
    """Return a vertex of a slice along the axes of the square, in fractions."""
    node = int(origin.node[vertex])
    if vertex not in known and node < 0:
        known[vertex] = [Fraction(v) for v in SQUARE[int(origin.unit[vertex])]]
    elif vertex not in known:
        ends = int(origin.first[vertex]), int(origin.second[vertex])
        places = [place_of(v, origin, network, known) for v in ends]
        unit, other = int(origin.unit[vertex]), int(origin.other[vertex])
        values = [values_at(network, place)[node] for place in places]
        a, b = (z[unit] - (z[other] if other >= 0 else 0) for z in values)
        pairs = zip(*places, strict=True)
        known[vertex] = [x + a / (a - b) * (y - x) for x, y in pairs]
    return known[vertex]


def wide_maxout():
    """Maxima of six whole lines, so that many vertices go when cells are joined."""
    build, x = start(2)
    y = step(
        build, "sets", dense(build, "first", x, 36, seed=5), Reshape((36,), (6, 6))
    )
    groups = Groups.along((6, 6), 1)
    y = build.maximum("max", y, groups, with_batch((6,)), operation="maxout")
    y = relu(build, "relu", dense(build, "second", y, 8, seed=6))
    return finish(build, dense(build, "head", y, 2, seed=3))


def test_vertices_keep_their_places_when_they_are_numbered_anew(monkeypatch):
    network = wide_maxout()
    whole = rl.slice_partition(network, AXES, SQUARE)
    told = []
    renumbered = ExactSigns.renumbered
    asked = ExactSigns.sign

    def counted(self):
        told.append("numbers")
        renumbered(self)

    def checked(self, vertex, node, unit, other, origin):
        found = asked(self, vertex, node, unit, other, origin)
        told.append("sign")
        z = values_at(network, place_of(vertex, origin, network, {}))[node]
        value = z[unit] - (z[other] if other >= 0 else 0)
        assert found == (value > 0) - (value < 0)
        return found

    monkeypatch.setattr(ExactSigns, "renumbered", counted)
    monkeypatch.setattr(ExactSigns, "sign", checked)
    monkeypatch.setattr(slice_contest, "_PAIRS", 4)
    again = rl.slice_partition(network, AXES, SQUARE)
    assert (again.count, again.certificate.euler) == (whole.count, 1)
    assert again.certificate.undecided_signs == 0
    last = len(told) - told[::-1].index("sign")
    assert "numbers" in told[:last]


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_unit_that_is_zero_along_a_side_of_the_domain(side):
    # In floats, the sum of these is not 0: only whole numbers see that the unit is.
    weight = [0.1, 0.2, 0.3, -0.1, -0.2, -0.3]
    assert sum(weight) != 0 == sum(fractions_of(weight))
    plane = rl.Plane(torch.zeros(6), [[1.0] * 6, [side, 0.0, 0.0, 0.0, 0.0, 0.0]])
    network = rl.from_layers([
        ([weight, [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]], [0.0, -1.0]),
        ([[1.0, 1.0]], None),
    ])
    found = rl.slice_partition(network, plane, [[0, 0], [1, 0], [1, 1], [0, 1]])
    assert found.certificate.undecided_signs == 0
    assert found.certificate.exact_signs >= 2
    codes = [code_of(found, cell) for cell in range(found.count)]
    assert {code[0] for code in codes} == {int(side > 0)}
    assert found.count == 2


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_unit_that_is_zero_along_an_edge_between_two_cells(side):
    """It changes sign there, or not, but makes no further cell."""
    kink, copy = [0.1, 0.7, -0.1, -0.7], [0.3 * side, 0.0, -0.3 * side, 0.0]
    plane = rl.Plane(torch.zeros(4), [[1.0] * 4, [1.0, 0.0, 0.0, 0.0]])
    network = rl.from_layers([([kink, copy], None), ([[1.0, 1.0]], None)])
    found = rl.slice_partition(network, plane, [[-1, -1], [1, -1], [1, 1], [-1, 1]])
    assert found.count == 2
    assert found.certificate.undecided_signs == 0
    codes = {code_of(found, cell) for cell in range(2)}
    assert codes == ({(0, 0), (1, 1)} if side > 0 else {(0, 1), (1, 0)})
