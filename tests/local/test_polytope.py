import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import NETWORKS, POLYHEDRAL, whole
from scipy.optimize import linprog
from torch import Tensor

from relulens.errors import (
    MemoryLimitError,
    NotPolyhedralError,
    ShapeError,
    UnknownNameError,
)
from relulens.graph.domain import Box
from relulens.importers.layers import from_layers
from relulens.local.boundary import boundary_distance
from relulens.local.pattern import activation_pattern
from relulens.local.polytope import Polytope, region_polytope


def near(x: Tensor) -> Tensor:
    """Return points near these, off every kink."""
    return x + whole(*x.shape, seed=31, most=1000) / 1024


def needed(rows: np.ndarray, right: np.ndarray) -> list[int]:
    """Return the rows that some point violates while it meets all others, by LPs."""
    found = []
    for place in range(len(rows)):
        others = np.delete(np.arange(len(rows)), place)
        cap = np.concatenate([rows[others], rows[place][None]])
        limits = np.concatenate([right[others], [right[place] + 1.0]])
        size = rows.shape[1]
        answer = linprog(
            -rows[place], A_ub=cap, b_ub=limits, bounds=[(None, None)] * size
        )
        if answer.status == 0 and -answer.fun > right[place] + 1e-7:
            found.append(place)
    return found


@pytest.mark.parametrize("name", POLYHEDRAL)
def test_the_sample_is_inside_and_the_nearest_face_is_the_least_slack(
    name: str,
) -> None:
    network, x = NETWORKS[name]()
    x = near(x)
    distances = boundary_distance(network, x, faces="all").distance
    for i, region in enumerate(region_polytope(network, x)):
        assert x[i] in region
        rows = region.A.to_dense()
        assert torch.equal(region.A.apply(x).T, rows @ x.flatten(1).T)
        slack = region.slack(x)[i]
        assert (slack[~region.constant] > 0).all()
        assert torch.equal(rows[region.constant], 0 * rows[region.constant])
        if (~region.constant).any():
            least = (slack / rows.norm(dim=1))[~region.constant].min()
            assert torch.allclose(least, distances[i], rtol=1e-12)
        else:
            assert torch.isinf(distances[i])


@pytest.mark.parametrize(
    "name", ["wide", "absolute_value", "max_pool", "deep", "clamp"]
)
def test_points_are_inside_if_and_only_if_they_share_the_pattern(name: str) -> None:
    network, x = NETWORKS[name]()
    x = near(x)[:2]
    generator = torch.Generator().manual_seed(0)
    for i, region in enumerate(region_polytope(network, x)):
        noise = torch.randn(60, *x.shape[1:], generator=generator, dtype=torch.float64)
        points = x[i] + 0.3 * noise
        same = activation_pattern(network, points).equals(
            activation_pattern(network, x[i : i + 1])
        )
        assert [bool(s) for s in same] == [point in region for point in points]


@pytest.mark.parametrize("name", ["wide", "duplicate_hyperplane", "residual", "concat"])
def test_facets_are_the_rows_that_linear_programs_need(name: str) -> None:
    network, x = NETWORKS[name]()
    for region in region_polytope(network, near(x)):
        facets = region.facets()
        varying = (~region.constant).nonzero().flatten()
        rows = region.A.to_dense()[varying].numpy()
        norms = np.linalg.norm(rows, axis=1)
        unit, right = rows / norms[:, None], region.b[varying].numpy() / norms
        # Of rows that say the same, the first one stays.
        first = [
            i
            for i in range(len(unit))
            if not any(
                np.allclose(unit[i], unit[j]) and right[j] <= right[i] + 1e-12
                for j in range(i)
            )
            and not any(
                np.allclose(unit[i], unit[j]) and right[j] < right[i] - 1e-12
                for j in range(i + 1, len(unit))
            )
        ]
        kept = [first[place] for place in needed(unit[first], right[first])]
        assert facets.unit.tolist() == region.unit[varying][kept].tolist()
        assert facets.layer.tolist() == region.layer[varying][kept].tolist()
        assert np.allclose(facets.A.to_dense().numpy(), unit[kept])


@given(st.integers(0, 10_000))
def test_facets_describe_the_same_set(seed: int) -> None:
    weights = whole(12, 3, seed=seed)
    network = from_layers([(weights, whole(12, seed=seed + 1)), (whole(1, 12), None)])
    region = region_polytope(network, near(torch.zeros(1, 3).double()))[0]
    facets = region.facets()
    assert len(facets) <= len(region)
    points = whole(200, 3, seed=seed + 2, most=9)
    outside = (region.slack(points) < 0).any(1)
    assert torch.equal((facets.slack(points) < -1e-9).any(1), outside)


def square(weight: list[list[float]], bias: list[float], x: list[float]) -> Polytope:
    ones = [[1.0] * len(weight)]
    return region_polytope(from_layers([(weight, bias), (ones, None)]), [x])[0]


def test_worked_examples() -> None:
    """The square ``[-1, 1]^2``, also with duplicates and a row through a corner."""
    rows = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    region = square(rows, [-1.0] * 4, [0.25, 0.5])
    assert region.A.to_dense().tolist() == rows
    assert region.b.tolist() == [1.0] * 4
    ball = region.chebyshev()
    assert ball.radius == pytest.approx(1.0)
    assert torch.allclose(ball.centre, torch.zeros(2).double(), atol=1e-9)
    more = [*rows, [2.0, 0.0], [1.0, 1.0], [1.0, 1.0]]
    crowded = square(more, [-1.0] * 4 + [-2.0, -2.0, -1.5], [0.25, 0.5])
    assert crowded.facets().unit.tolist() == [0, 1, 2, 3, 6]


def test_thin_and_unbounded_regions() -> None:
    thin = square([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], [0.0] * 3, [0.0, -1.0])
    assert thin.chebyshev().radius == pytest.approx(0.0, abs=1e-12)
    assert thin.facets().unit.tolist() == [0, 1, 2]
    half = square([[1.0, 0.0]], [-1.0], [0.0, 0.0])
    ball = half.chebyshev()
    assert ball.radius == float("inf")
    assert half.facets().unit.tolist() == [0]
    boxed = half.chebyshev(domain=Box(-1.0, 3.0))
    assert boxed.radius == pytest.approx(1.0)
    cut = half.facets(domain=Box(-1.0, 0.5))
    assert cut.unit.tolist() == []


def test_layers_can_be_left_out() -> None:
    network, x = NETWORKS["deep"]()
    region = region_polytope(network, x, layer="relu2")[0]
    assert len(region) == 9
    assert region.layers == ("relu0", "relu1", "relu2")
    assert region.unit.tolist() == [0, 1, 2] * 3


def test_transposed_rows() -> None:
    network, x = NETWORKS["ragged_max_pool"]()
    region = region_polytope(network, x)[1]
    y = whole(3, len(region), seed=4)
    assert torch.equal(region.A.adjoint(y).flatten(1), y @ region.A.to_dense())


def test_refusals() -> None:
    network, x = NETWORKS["smooth"]()
    with pytest.raises(NotPolyhedralError) as curved:
        region_polytope(network, x)
    assert [node.name for node in curved.value.nodes] == ["tanh", "gelu", "sigmoid"]
    network, x = NETWORKS["wide"]()
    with pytest.raises(UnknownNameError):
        region_polytope(network, x, layer="rleu0")
    region = region_polytope(network, x)[0]
    with pytest.raises(MemoryLimitError):
        region.facets(limit=16)
    with pytest.raises(ShapeError):
        region.slack(x[0])
    assert region_polytope(network, x[:0]) == []
