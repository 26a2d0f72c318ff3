import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import (
    NETWORKS,
    POLYHEDRAL,
    conv,
    dense,
    finish,
    flat,
    relu,
    start,
    whole,
    windows,
)
from oracles import jacobian
from torch import Tensor

from relulens.errors import InvalidArgumentError, MemoryLimitError
from relulens.graph.network import Network
from relulens.importers.layers import from_layers
from relulens.local.relu_effect import relu_effect
from relulens.local.spectrum import singular_values


def near(x: Tensor) -> Tensor:
    """Return points near these, off every kink."""
    return x + whole(*x.shape, seed=31, most=1000) / 1024


def convolutional() -> tuple[Network, Tensor]:
    build, x = start(2, 8, 8)
    y = relu(build, "relu1", conv(build, "conv1", x, 3, windows((3, 3), 1, 1), seed=1))
    y = relu(build, "relu2", conv(build, "conv2", y, 4, windows((3, 3), 2, 1), seed=2))
    y = relu(build, "relu3", conv(build, "conv3", y, 2, windows((3, 3), 1, 1), seed=3))
    network = finish(build, dense(build, "head", flat(build, "flat", y), 3, seed=4))
    return network, near(whole(1, 2, 8, 8, seed=5))


def oracle(network: Network, x: Tensor, end: int) -> np.ndarray:
    return np.linalg.svd(jacobian(network, x, end).numpy(), compute_uv=False)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("method", [None, "svd", "gram", "tsqr"])
def test_values_are_those_of_the_jacobian(name: str, method: str | None) -> None:
    network, x = NETWORKS[name]()
    x = near(x)
    wanted = oracle(network, x, network.output)
    found = singular_values(network, x, method=method)
    assert found.complete
    assert (
        np.abs(found.values.numpy() - wanted) <= found.error_bound.numpy() + 1e-13
    ).all()
    largest = wanted.max(initial=0.0, axis=1, keepdims=True)
    if method != "gram":
        assert (np.abs(found.values.numpy() - wanted) <= 1e-13 * (1 + largest)).all()
        assert found.rank.tolist() == (wanted > 1e-10 * largest).sum(1).tolist()


@pytest.mark.parametrize("layer", ["conv1", "relu1", "conv2", "relu2", "relu3"])
@pytest.mark.parametrize("method", ["gram", "tsqr"])
def test_packed_columns_give_the_same_values(layer: str, method: str) -> None:
    network, x = convolutional()
    wanted = oracle(network, x, network.find(layer))
    found = singular_values(network, x, layer=layer, method=method)
    assert found.method == method
    assert found.values.shape == wanted.shape
    assert (np.abs(found.values.numpy() - wanted) <= found.error_bound.numpy()).all()
    top = wanted.max(axis=1, keepdims=True)
    large = wanted > 1e-3 * top
    relative = np.abs(found.values.numpy() - wanted)[large] / wanted[large]
    assert relative.max() < 1e-9
    if method == "tsqr":
        assert (np.abs(found.values.numpy() - wanted) < 1e-13 * top).all()


def test_gram_gives_way_to_triangles_where_it_is_blind() -> None:
    """Two values of 1e-9 of the largest: below what squares can tell from zero."""
    wide = 600
    scales = torch.ones(wide, dtype=torch.float64)
    scales[-2:] = 1e-9
    network = from_layers([(torch.diag(scales), None)])
    x = torch.ones(1, wide)
    found = singular_values(network, x)
    assert found.method == "tsqr"
    assert torch.equal(found.values[0], scales)
    assert found.rank.tolist() == [wide]
    blind = singular_values(network, x, method="gram")
    assert "1e-8" in blind.accuracy
    assert (blind.values[0] - scales).abs().le(blind.error_bound[0]).all()
    plain = singular_values(from_layers([(2 * torch.eye(wide), None)]), x)
    assert plain.method == "gram"
    assert torch.equal(plain.values[0], 2 * torch.ones(wide, dtype=torch.float64))


@pytest.mark.parametrize("name", ["conv_avgpool", "bottleneck", "wide", "smooth"])
def test_the_largest_by_products_alone(name: str) -> None:
    network, x = NETWORKS[name]()
    x = near(x)
    wanted = oracle(network, x, network.output)
    found = singular_values(network, x, k=1, method="lanczos")
    assert not found.complete
    assert found.method == "lanczos"
    assert (
        np.abs(found.values.numpy() - wanted[:, :1])
        <= found.error_bound.numpy() + 1e-15
    ).all()
    assert (found.error_bound <= 1e-9 * (1 + found.values)).all()


def test_a_zero_slope_has_no_rank() -> None:
    network = from_layers([([[1.0, 0.0], [0.0, 1.0]], [-5.0, -5.0]), (np.eye(2), None)])
    for method, k in ((None, None), ("gram", None), ("tsqr", None), ("lanczos", 1)):
        found = singular_values(network, [[1.0, 1.0]], method=method, k=k)
        assert not found.values.any()
        assert found.rank.tolist() == [0]


@given(st.integers(0, 10_000))
def test_squares_add_up_to_the_squared_entries(seed: int) -> None:
    network, x = NETWORKS["concat"]()
    x = x + whole(*x.shape, seed=seed, most=100) / 128
    found = singular_values(network, x, layer="joint")
    squares = jacobian(network, x, network.find("joint")).square().sum((1, 2))
    assert torch.allclose(found.values.square().sum(1), squares, rtol=1e-12)


@pytest.mark.parametrize("layer", ["relu1", "relu2", "relu3"])
def test_a_relu_removes_rows_and_the_spectra_interlace(layer: str) -> None:
    network, x = convolutional()
    effect = relu_effect(network, x, layer)
    off = jacobian(network, x, network.find(layer)).abs().sum(2) == 0
    before = jacobian(network, x, network.find(layer, "preactivation"))
    assert effect.removed.tolist() == off.sum(1).tolist()
    assert effect.interlaces is not None
    assert effect.interlaces.all()
    assert (
        effect.rank_drop.tolist() == (effect.before.rank - effect.after.rank).tolist()
    )
    assert np.allclose(
        effect.before.values.numpy(), np.linalg.svd(before.numpy(), compute_uv=False)
    )


def test_other_slopes_remove_nothing() -> None:
    network, x = NETWORKS["leaky"]()
    effect = relu_effect(network, near(x), "leaky")
    assert effect.removed.tolist() == [0] * len(x)
    assert effect.interlaces is None
    with pytest.raises(InvalidArgumentError, match="max_pool"):
        relu_effect(*NETWORKS["max_pool"](), "pool")


@pytest.mark.parametrize("name", POLYHEDRAL)
def test_between_layers(name: str) -> None:
    network, x = NETWORKS[name]()
    if not network.layers:
        return
    found = singular_values(network, near(x), start=0)
    assert found.values.shape[0] == len(x)


def test_refusals() -> None:
    network, x = NETWORKS["wide"]()
    with pytest.raises(InvalidArgumentError, match="qr"):
        singular_values(network, x, method="qr")
    with pytest.raises(InvalidArgumentError):
        singular_values(network, x, k=0)
    with pytest.raises(InvalidArgumentError):
        singular_values(network, x, method="lanczos")
    with pytest.raises(MemoryLimitError):
        singular_values(network, x, limit=8)


def test_as_an_array() -> None:
    network, x = NETWORKS["wide"]()
    found = singular_values(network, x)
    assert np.array_equal(np.asarray(found), found.values.numpy())
    assert torch.equal(found[1], found.values[1])
    assert len(found) == 5
    assert singular_values(network, x[:0]).values.shape == (0, 2)
