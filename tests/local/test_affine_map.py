import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import NETWORKS, POLYHEDRAL, whole
from oracles import jacobian, replayed
from torch import Tensor

from relulens.errors import MemoryLimitError, ShapeError, UnknownNameError
from relulens.graph.network import Network
from relulens.importers.layers import from_layers
from relulens.local.affine_map import LocalAffineMap, local_affine_map


def generic(x: Tensor) -> Tensor:
    """Return points near these, off every kink; float64 stays exact on them."""
    return x + whole(*x.shape, seed=31, most=1000) / 1024


@pytest.mark.parametrize("name", POLYHEDRAL)
def test_slopes_are_the_jacobian_exactly(name: str) -> None:
    network, x = NETWORKS[name]()
    x = generic(x)
    found = local_affine_map(network, x)
    assert found.exact
    assert torch.equal(found.slope, jacobian(network, x))


@pytest.mark.parametrize("name", [n for n in NETWORKS if n not in POLYHEDRAL])
def test_slopes_of_curved_networks_are_the_jacobian(name: str) -> None:
    network, x = NETWORKS[name]()
    x = generic(x)
    found = local_affine_map(network, x)
    assert not found.exact
    assert torch.allclose(found.slope, jacobian(network, x), atol=1e-12)
    assert torch.allclose(found(x), replayed(network, x)[network.output], atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_and_preactivations_are_reached(name: str) -> None:
    network, x = NETWORKS[name]()
    x = generic(x)[:3]
    for place, layer in enumerate(network.layers):
        for at in ("features", "preactivation"):
            end = network.find(place, at)
            found = local_affine_map(network, x, layer=layer.name, at=at)
            assert torch.allclose(found.slope, jacobian(network, x, end), atol=1e-12)


@pytest.mark.parametrize("name", POLYHEDRAL)
def test_products_agree_with_the_dense_slope(name: str) -> None:
    network, x = NETWORKS[name]()
    found = local_affine_map(network, x)
    count, outs, ins = found.shape
    v, w = whole(count, ins, 3, seed=5), whole(count, outs, 2, seed=6)
    slope = found.slope
    assert torch.equal(found.matmat(v), slope @ v)
    assert torch.equal(found.T.matmat(w), slope.mT @ w)
    assert torch.equal(found @ v[:, :, 0], (slope @ v[:, :, :1])[..., 0])
    assert torch.equal(found @ v[0, :, 0], torch.einsum("noi,i->no", slope, v[0, :, 0]))
    assert torch.equal(
        found.T @ w[0, :, 0], torch.einsum("noi,o->ni", slope, w[0, :, 0])
    )
    assert torch.equal(torch.as_tensor(found.__array__()), slope)
    assert torch.equal(found[0], slope[0])


def between_layers() -> tuple[Network, Tensor]:
    network, x = NETWORKS["residual"]()
    return network, generic(x)


def test_maps_between_layers_compose() -> None:
    network, x = between_layers()
    first = local_affine_map(network, x, layer="0.relu_out")
    second = local_affine_map(network, x, start="0.relu_out")
    whole_map = local_affine_map(network, x)
    assert second.separating
    assert torch.equal(second.slope @ first.slope, whole_map.slope)
    features = first(x).flatten(1)
    assert torch.equal(second(features), whole_map(x))


def test_a_start_that_is_passed_by_says_so() -> None:
    network, x = between_layers()
    inner = local_affine_map(network, x, start="0.relu")
    assert not inner.separating
    values = replayed(network, x)[network.find("0.relu")]
    assert torch.equal(inner(values), replayed(network, x)[network.output])


@given(st.integers(0, 10_000))
def test_the_map_is_the_network_inside_its_region(seed: int) -> None:
    network, x = NETWORKS["wide"]()
    generator = torch.Generator().manual_seed(seed)
    x = x + torch.rand(x.shape, generator=generator, dtype=torch.float64)
    found = local_affine_map(network, x)
    values = replayed(network, x)
    step = 0.5 * found.margin[:, None] / 10.0
    direction = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    y = x + step * torch.nn.functional.normalize(direction, dim=1)
    assert torch.allclose(found(y), replayed(network, y)[network.output], atol=1e-9)
    assert torch.allclose(found(x), values[network.output], atol=1e-9)


def test_margins_are_zero_exactly_where_units_tie() -> None:
    network, x = NETWORKS["unit_on_the_point"]()
    found = local_affine_map(network, x)
    assert found.margin.tolist() == [0.0, 0.0]
    assert [[t.unit for t in tight] for tight in found.tight] == [[0, 1], [0]]
    assert {t.layer for tight in found.tight for t in tight} == {"relu0"}


def test_constant_ties_do_not_count() -> None:
    """After a ReLU that is off, windows tie on the whole region."""
    network, _ = NETWORKS["max_pool"]()
    blank = torch.full((1, 1, 6, 6), 0.25, dtype=torch.float64)
    found = local_affine_map(network, blank)
    off = replayed(network, blank)[2].flatten(1) == 0
    named = {(t.layer, t.unit) for t in found.tight[0]}
    argument = replayed(network, blank)[1].flatten(1)
    assert bool(off.any())
    assert all(bool(argument[0, u] == 0) for layer, u in named if layer == "relu")


def test_worked_example() -> None:
    """``|x| + 0.5`` as two ReLUs."""
    network = from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], [0.5])])
    found = local_affine_map(network, [[2.0], [-3.0], [0.0]])
    assert found.slope.flatten().tolist() == [1.0, -1.0, 0.0]
    assert found.offset.flatten().tolist() == [0.5, 0.5, 0.5]
    assert found.margin.tolist() == [2.0, 3.0, 0.0]
    assert repr(found) == "LocalAffineMap(3 maps, 1 -> 1, exact)"


def test_no_inputs_at_all() -> None:
    network, x = NETWORKS["max_pool"]()
    found = local_affine_map(network, x[:0])
    assert found.slope.shape == (0, 3, 36)
    assert found.margin.shape == (0,)
    assert found.tight == ()


def test_refusals() -> None:
    network, x = NETWORKS["wide"]()
    with pytest.raises(ShapeError, match=r"x\[None\]"):
        local_affine_map(network, x[0])
    with pytest.raises(UnknownNameError) as unknown:
        local_affine_map(network, x, layer="relu7")
    assert "relu0" in unknown.value.nearest
    small = local_affine_map(network, x, limit=8)
    with pytest.raises(MemoryLimitError) as full:
        _ = small.slope
    assert full.value.needed == 8 * 5 * 2 * 2
    assert full.value.limit == 8
    with pytest.raises(ShapeError):
        _ = small @ torch.ones(3)


def assert_widened(found: LocalAffineMap) -> None:
    assert found.slope.dtype == found.offset.dtype == torch.float64


def test_results_are_float64_for_a_float32_network() -> None:
    layers = [(whole(4, 3, seed=1), None), (whole(2, 4, seed=2), None)]
    found = local_affine_map(
        from_layers(layers, dtype=torch.float32), whole(2, 3, seed=3)
    )
    assert_widened(found)
    exact = local_affine_map(from_layers(layers), whole(2, 3, seed=3))
    assert torch.equal(found.slope, exact.slope)
