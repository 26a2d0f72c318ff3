"""Verdicts on pre-images against exact rationals, hand-made cases, and refusals."""

import numpy as np
import pytest
import torch
from networks import NETWORKS, POLYHEDRAL, dense, finish, start, whole
from preimage.cone_oracle import exact_rank, leaves_a_direction
from scipy.optimize import linprog

from relulens.certificates.rank import FullRank, RowCount
from relulens.certificates.recession import Recession
from relulens.errors import (
    InvalidArgumentError,
    NotPolyhedralError,
    ShapeError,
    UnknownNameError,
)
from relulens.graph.domain import Box
from relulens.graph.evaluate import evaluate
from relulens.graph.network import Network
from relulens.graph.smooth import GELU, TANH
from relulens.importers.layers import from_layers
from relulens.local.polytope import region_polytope
from relulens.preimage.preimage import preimage
from relulens.preimage.result import Preimage
from relulens.preimage.twin import twin


def layer_net(weight: np.ndarray, bias: np.ndarray) -> Network:
    """Return a network of one ReLU layer that something reads."""
    return from_layers([(weight, bias), (np.ones((1, weight.shape[0])), None)])


def systems(
    weight: np.ndarray, bias: np.ndarray, x: np.ndarray, box: tuple[int, int] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return equalities, inequalities and which of these are tight, all whole."""
    z = weight @ x + bias
    below, slack = [weight[z <= 0]], [-z[z <= 0]]
    if box is not None:
        eye = np.eye(x.size, dtype=np.int64)
        below += [eye, -eye]
        slack += [box[1] - x, x - box[0]]
    return weight[z > 0], np.concatenate(below), np.concatenate(slack) == 0


def expected(
    equal: np.ndarray, below: np.ndarray, tight: np.ndarray
) -> tuple[str, int]:
    """Return the verdict by extreme rays, and the dimension by a linear program."""
    n = below.shape[1]
    verdict = "unbounded" if leaves_a_direction(equal, below) else "bounded"
    if not leaves_a_direction(equal, below[tight]):
        verdict = "singleton"
    rows = below[tight]
    free = np.zeros(rows.shape[0], dtype=bool)
    if rows.shape[0]:
        count = rows.shape[0]
        cost = np.concatenate([np.zeros(n), -np.ones(count)])
        equalities = np.hstack([equal, np.zeros((equal.shape[0], count))])
        found = linprog(
            cost,
            A_ub=np.hstack([rows, np.eye(count)]),
            b_ub=np.zeros(count),
            A_eq=equalities if equal.shape[0] else None,
            b_eq=np.zeros(equal.shape[0]) if equal.shape[0] else None,
            bounds=[(None, None)] * n + [(0, 1)] * count,
        )
        free = found.x[n:] > 0.5
    held = np.concatenate([equal, rows[~free]])
    return verdict, n - exact_rank(held.tolist())


@pytest.mark.parametrize("box", [None, (0, 1), (-1, 2)])
def test_whole_layers_agree_with_exact_rays(box: tuple[int, int] | None) -> None:
    generator = np.random.default_rng(11)
    seen = set()
    for _ in range(150):
        n, m = int(generator.integers(1, 4)), int(generator.integers(1, 8))
        weight = generator.integers(-2, 3, (m, n))
        low, high = box or (-2, 2)
        x = generator.integers(low, high + 1, n)
        bias = generator.integers(-2, 3, m)
        bias[generator.random(m) < 0.4] = 0
        bias = np.where(generator.random(m) < 0.3, -weight @ x, bias)
        domain = Box(*box) if box else None
        found = preimage(layer_net(weight, bias), x[None], layer=0, domain=domain)[0]
        verdict, dimension = expected(*systems(weight, bias, x, box))
        assert (found.verdict, found.dimension) == (verdict, dimension)
        assert found.certificate is not None
        assert found.certificate.verify()
        seen.add(verdict)
    assert len(seen) >= 2


def one(weight: object, bias: object, x: object, **options: object) -> Preimage:
    matrix = torch.as_tensor(weight, dtype=torch.float64)
    net = from_layers([(matrix, bias), (torch.ones(1, matrix.shape[0]), None)])
    return preimage(net, torch.tensor([x]), layer=0, **options)[0]


CROSS = [[1.0, 0], [-1, 0], [0, 1], [0, -1]]


@pytest.mark.parametrize(
    ("weight", "bias", "x", "verdict", "dimension"),
    [
        ([[1.0, 0], [0, 1]], None, [1.0, 1.0], "singleton", 0),
        ([[1.0, 0], [0, 1]], None, [1.0, -1.0], "unbounded", 1),
        ([[1.0, 0], [0, 1]], None, [0.0, 0.0], "unbounded", 2),
        (CROSS, [-1.0] * 4, [0.0, 0.0], "bounded", 2),
        (CROSS, None, [0.0, 0.0], "singleton", 0),
        (CROSS, [-1.0, -1, 0, 0], [0.0, 0.0], "bounded", 1),
        ([[1.0, 0], [-1, 0], [0, 1]], [-1.0] * 3, [0.0, 0.0], "unbounded", 2),
        ([[1.0, 0], [0, 1], [-1, -1]], [-1.0] * 3, [0.0, 0.0], "bounded", 2),
        ([[1.0, 0], [2, 0]], None, [1.0, 5.0], "unbounded", 1),
        ([[0.0, 0], [1, 0], [0, 1]], [3.0, 0, 0], [1.0, 1.0], "singleton", 0),
        ([[0.0, 0]], [-1.0], [1.0, 1.0], "unbounded", 2),
    ],
)
def test_by_hand(
    weight: object, bias: object, x: object, verdict: str, dimension: int
) -> None:
    found = one(weight, bias, x)
    assert (found.verdict, found.dimension) == (verdict, dimension)


def test_both_readings_of_a_unit_at_zero() -> None:
    found = one([[1.0, 0], [0, 1]], None, [1.0, 0.0])
    assert found.boundary.tolist() == [1]
    assert found.readings == ("unbounded", "singleton")
    assert found.verdict == "unbounded"


@pytest.mark.parametrize(("sign", "verdict"), [(1.0, "singleton"), (-1.0, "unbounded")])
def test_exact_arithmetic_settles_a_unit_that_rounding_leaves_at_zero(
    sign: float, verdict: str
) -> None:
    """As float64, 0.1 + 0.2 exceeds 0.3 by 2.8e-17 exactly; its sum in float64 too."""
    weight = torch.tensor([[0.1, 0.2], [0, 1]], dtype=torch.float64)
    weight[0] *= sign
    bias = torch.tensor([-0.3 * sign, 0.0], dtype=torch.float64)
    net = from_layers([(weight, bias), (torch.ones(1, 2), None)])
    found = preimage(net, torch.ones(1, 2), layer=0)[0]
    assert found.boundary.tolist() == [0]
    assert found.readings == ("unbounded", "singleton")
    assert found.verdict == verdict


def test_saturated_pixels_count_as_tight() -> None:
    weight = [[1.0, 1.0, 1.0]]
    corner = one(weight, [-0.5], [0.0, 0.0, 1.0], domain=Box(0, 1))
    assert (corner.verdict, corner.dimension) == ("bounded", 2)
    full = one(weight, [-0.5], [1.0, 1.0, 1.0], domain=Box(0, 1))
    assert full.verdict == "singleton"
    free = one(weight, [-0.5], [1.0, 1.0, 1.0])
    assert free.verdict == "unbounded"


def test_any_polytope_is_a_domain() -> None:
    weight = [[1.0, 0.0]]
    rows = torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    strip = one(weight, None, [1.0, 0.0], domain=(rows, torch.tensor([1.0, 1.0])))
    assert (strip.verdict, strip.dimension) == ("bounded", 1)
    half = one(weight, None, [1.0, 0.0], domain=(rows[:1], torch.tensor([0.0])))
    assert (half.verdict, half.tight) == ("unbounded", 1)
    point = one(weight, None, [1.0, 0.0], domain=(rows, torch.tensor([0.0, 0.0])))
    assert point.verdict == "singleton"
    assert point.certificate is not None
    assert point.certificate.verify()


def test_the_networks_domain_is_the_default() -> None:
    net = from_layers([([[1.0, 0.0]], None), ([[1.0]], None)], domain=Box(0, 1))
    assert preimage(net, [[0.5, 0.5]], layer=0)[0].verdict == "bounded"
    anywhere = Box(-torch.inf, torch.inf)
    assert (
        preimage(net, [[0.5, 0.5]], layer=0, domain=anywhere)[0].verdict == "unbounded"
    )


def test_gaussian_layers_are_bounded_until_the_rank_is_full() -> None:
    generator = np.random.default_rng(0)
    weight = generator.standard_normal((120, 30))
    x = generator.standard_normal(30)
    order = np.sort(weight @ x)
    for active, verdict in ((10, "bounded"), (29, "bounded"), (30, "singleton")):
        bias = np.full(120, -(order[-active] + order[-active - 1]) / 2)
        found = preimage(layer_net(weight, bias), x[None], layer=0)[0]
        assert (found.verdict, found.dimension) == (verdict, 30 - active)
        assert found.active == active
        assert found.certificate is not None
        assert found.certificate.verify()


def test_a_direction_that_never_leaves_keeps_the_features() -> None:
    generator = np.random.default_rng(3)
    weight = generator.standard_normal((40, 25))
    x = generator.standard_normal(25)
    bias = -(weight @ x) - generator.random(40) * np.where(np.arange(40) < 8, -1, 1)
    net = layer_net(weight, bias)
    found = preimage(net, x[None], layer=0)[0]
    assert found.verdict == "unbounded"
    assert found.certificate is not None
    part = found.certificate.recession
    assert isinstance(part, Recession | RowCount)
    if isinstance(part, Recession):
        far = torch.from_numpy(x) + 10 * part.direction
        near = evaluate(net, x[None], layer=0)
        torch.testing.assert_close(evaluate(net, far[None], layer=0), near)


def test_one_kind_of_layer_after_the_other() -> None:
    build, x = start(2)
    leaky = build.two_slope("leaky", x, 0.25, operation="leaky_relu")
    absolute = build.two_slope("abs", leaky, -1.0, operation="abs")
    clamp = build.clamp("clamp", absolute, 0.0, 2.0, operation="clamp")
    tanh = build.smooth("tanh", clamp, TANH)
    net = finish(build, dense(build, "head", tanh, 3, seed=1))
    x = [[-4.0, 8.0]]
    assert preimage(net, x, layer="leaky")[0].verdict == "singleton"
    found = preimage(net, x, layer="abs", scope="layer")[0]
    assert (found.verdict, found.piece) == ("bounded", "singleton")
    assert len(found.pieces) == 4
    assert found.certificate is not None
    assert found.certificate.verify()
    clamped = preimage(net, x, layer="clamp", scope="layer")[0]
    assert (clamped.verdict, clamped.active, clamped.dimension) == ("unbounded", 1, 1)
    assert preimage(net, x, layer="tanh", scope="layer")[0].verdict == "singleton"
    head = preimage(net, x, layer="output", scope="layer")[0]
    assert head.verdict == ("singleton" if head.rank == 2 else "unbounded")


def test_abs_with_a_kernel_is_unbounded_on_every_piece() -> None:
    build, x = start(2)
    y = dense(build, "first", x, 1, seed=5)
    net = finish(build, build.two_slope("abs", y, -1.0, operation="abs"))
    found = preimage(net, [[1.0, 2.0]], layer="abs")[0]
    assert found.verdict == "unbounded"
    assert found.certificate is not None
    assert found.certificate.verify()


def test_concatenated_relu_is_injective_iff_the_rows_are_a_frame() -> None:
    frame = whole(5, 3, seed=2, most=2).numpy()
    both = np.concatenate([frame, -frame])
    rank = exact_rank(frame.astype(int).tolist())
    found = one(both.tolist(), None, [0.3, -0.7, 1.1])
    assert (found.verdict == "singleton") == (rank == 3)
    assert one(both.tolist(), None, [0.0, 0.0, 0.0]).verdict == found.verdict
    flat = frame.copy()
    flat[:, 2] = 0
    both = np.concatenate([flat, -flat])
    assert one(both.tolist(), None, [0.3, -0.7, 1.1]).verdict == "unbounded"


@pytest.mark.parametrize("name", POLYHEDRAL)
def test_every_layer_of_every_network_is_answered(name: str) -> None:
    net, x = NETWORKS[name]()
    for layer in range(len(net.layers)):
        for scope in ("layer", "region"):
            for found in preimage(net, x[:2], layer=layer, scope=scope):
                assert found.verdict != "empty"
                if found.certificate is not None:
                    assert found.certificate.verify()
                else:
                    assert found.verdict == "undecided"
                    assert found.reason


def test_region_answers_agree_with_a_folded_layer() -> None:
    """On x's region a second layer is one layer of products, plus the region's rows."""
    generator = np.random.default_rng(5)
    for _ in range(20):
        first = generator.integers(-2, 3, (4, 3))
        second = generator.integers(-2, 3, (4, 4))
        x = generator.integers(-2, 3, 3)
        b1, b2 = generator.integers(-1, 2, 4), generator.integers(-1, 2, 4)
        net = from_layers([(first, b1), (second, b2), (np.ones((1, 4)), None)])
        z1 = first @ x + b1
        on = z1 > 0
        folded = second @ (first * on[:, None])
        z2 = second @ (z1 * on) + b2
        equal = folded[z2 > 0]
        inner = np.where(on[:, None], -first, first)
        below = np.concatenate([inner, folded[z2 <= 0]])
        tight = np.concatenate([z1, z2[z2 <= 0]]) == 0
        verdict, dimension = expected(equal, below, tight)
        found = preimage(net, x[None], layer=1, scope="region")[0]
        assert found.verdict in {verdict, "undecided"}
        if found.dimension is not None:
            assert found.dimension == dimension


def test_features_alone() -> None:
    net = from_layers([(CROSS, [-1.0] * 4), (torch.ones(1, 4), None)])
    inside = preimage(net, layer=0, features=torch.zeros(1, 4))[0]
    assert inside.verdict == "bounded"
    assert inside.point is not None
    impossible = preimage(net, layer=0, features=[[1.0, 1.0, 0.0, 0.0]])[0]
    assert impossible.verdict == "empty"
    assert impossible.certificate is not None
    assert impossible.certificate.verify()
    fixed = preimage(net, layer=0, features=[[2.0, 0.0, 0.0, 0.5]])[0]
    assert (fixed.verdict, fixed.point.tolist()) == ("singleton", [3.0, -1.5])


def test_features_of_real_points_give_the_verdict_of_the_point() -> None:
    generator = np.random.default_rng(8)
    weight = generator.standard_normal((30, 9))
    for shift in (-1.5, -0.5, 0.5):
        net = layer_net(weight, np.full(30, shift))
        x = generator.standard_normal((1, 9))
        features = evaluate(net, x, layer=0)
        known = preimage(net, x, layer=0)[0]
        found = preimage(net, layer=0, features=features)[0]
        assert found.verdict == known.verdict
        assert found.point is not None
        again = evaluate(net, found.point[None], layer=0)
        torch.testing.assert_close(again, features, atol=1e-8, rtol=1e-8)


def test_no_inputs_give_no_results() -> None:
    net = from_layers([(CROSS, None), (torch.ones(1, 4), None)])
    assert preimage(net, torch.zeros(0, 2), layer=0) == []


def test_full_rank_is_certified_by_an_inverse() -> None:
    found = one([[1.0, 2], [3, 4]], None, [1.0, 1.0])
    assert found.certificate is not None
    assert isinstance(found.certificate.tangent, FullRank)
    assert found.rank == 2


@pytest.mark.parametrize("seed", range(3))
def test_a_region_as_domain_is_its_rows(seed: int) -> None:
    """A region says the same as its rows, and bounds what it holds."""
    draw = np.random.default_rng(seed)
    sizes = ((2, 2), (8, 2), (1, 8))
    net = from_layers([(draw.standard_normal(s), draw.random(s[0])) for s in sizes])
    x = draw.standard_normal((1, 2))
    region = region_polytope(net, x)[0]
    pair = region.A.to_dense(), region.b
    for limit in (region, region.facets()):
        found = preimage(net, x, layer=0, domain=limit)[0]
        wanted = preimage(net, x, layer=0, domain=pair)[0]
        assert (found.verdict, found.dimension) == (wanted.verdict, wanted.dimension)
        assert found.certificate.verify()
        beside = twin(net, x, layer=0, domain=limit)[0].x2
        assert beside is None or beside in region
    far = x + 100 * draw.standard_normal((1, 2))
    with pytest.raises(InvalidArgumentError, match="outside its domain"):
        preimage(net, far, layer=0, domain=region)


def test_domains_that_do_not_fit_are_refused() -> None:
    net, x = NETWORKS["deep"]()
    for limit in (Box(0, 1), region_polytope(net, x)[0]):
        with pytest.raises(InvalidArgumentError, match="bounds the input"):
            preimage(net, x, layer=1, scope="layer", domain=limit)
    for limit in (region_polytope(net, x[:1]), "all", ("a", [1.0]), ([[1], [1, 2]], 1)):
        with pytest.raises(InvalidArgumentError, match=r"as a domain|the domain's A"):
            preimage(net, x, layer=0, domain=limit)
    with pytest.raises(InvalidArgumentError, match="has 2 columns"):
        preimage(net, x, layer=0, domain=(torch.zeros(1, 2), torch.zeros(1)))


def test_refusals() -> None:
    net, x = NETWORKS["deep"]()
    with pytest.raises(UnknownNameError, match="nearest are 'relu7'"):
        preimage(net, x, layer="relu")
    with pytest.raises(InvalidArgumentError, match="reads relu0"):
        preimage(net, x, layer=1)
    with pytest.raises(InvalidArgumentError, match="scope 'all'"):
        preimage(net, x, layer=1, scope="all")
    with pytest.raises(InvalidArgumentError, match="0 of x and features"):
        preimage(net, layer=0)
    with pytest.raises(InvalidArgumentError, match="outside its domain"):
        preimage(net, x * 0 + 5, layer=0, domain=Box(0, 1))
    with pytest.raises(InvalidArgumentError, match="its range 0"):
        preimage(net, layer=0, features=-torch.ones(1, 3))
    with pytest.raises(ShapeError, match="batch axis is missing"):
        preimage(net, layer=0, features=torch.ones(3))
    smooth, y = NETWORKS["smooth"]()
    assert preimage(smooth, y, layer="tanh")[0].variable == "input"
    with pytest.raises(NotPolyhedralError, match="gelu"):
        preimage(smooth, y, layer="gelu", scope="layer")
    with pytest.raises(NotPolyhedralError, match="tanh"):
        preimage(smooth, y, layer="relu", scope="region")
    with pytest.raises(NotPolyhedralError, match="scope='layer' asks about"):
        preimage(smooth, y, layer="output")
    assert preimage(smooth, y, layer="output", scope="layer")
    assert GELU.turns
