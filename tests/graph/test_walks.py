"""Evaluation and frozen walks against independent torch code and autograd."""

from dataclasses import replace

import oracles
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import NETWORKS, POLYHEDRAL, whole

from relulens.errors import NotFiniteError, ShapeError, UnknownNameError
from relulens.graph.convert import converted
from relulens.graph.evaluate import evaluate
from relulens.graph.freeze import freeze, frozen_part, node_values
from relulens.graph.nodes import Affine, Input
from relulens.graph.tangent import adjoint, adjoint_walk, tangent, tangent_walk
from relulens.importers.layers import from_layers


@pytest.fixture(params=NETWORKS)
def name(request):
    return request.param


@pytest.fixture
def case(name):
    return NETWORKS[name]()


@pytest.fixture
def tiny_pieces(monkeypatch):
    """Cut every walk into pieces of one row."""
    for module in ("relulens.graph.pieces", "relulens.graph.maps.convolution"):
        monkeypatch.setattr(f"{module}._CACHED", 1)


def generic(network, count=4, seed=0):
    """Return points off all kinks, with 8 binary places, so that float64 is exact."""
    x = whole(count, *network.input_shape, seed=seed, most=800) / 256
    return x[~oracles.on_a_kink(network, x)]


def units(size, shape, count):
    """Return the unit vectors of a shape, for every one of some points."""
    return torch.eye(size).double().repeat(count, 1).reshape(-1, *shape)


def slopes(network, x):
    """Return the slopes [N, out, in] by both walks, checked to be each other's."""
    frozen = freeze(network, x, network.output)
    ins, outs, count = network.input_size, network.output_size, x.shape[0]
    rows = adjoint(frozen, units(outs, network.output_shape, count))
    columns = tangent(frozen, units(ins, network.input_shape, count))
    rows = rows.reshape(count, outs, ins)
    assert_close(rows, columns.reshape(count, ins, outs).mT)
    return rows


def assert_close(found, wanted):
    assert found.shape == wanted.shape
    assert torch.allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_values_are_those_of_torch(name, case):
    network, x = case
    wanted = oracles.replayed(network, x)
    found = node_values(network, x, range(len(network.nodes)))
    for index, value in found.items():
        if name in POLYHEDRAL:
            assert torch.equal(value, wanted[index])
        assert_close(value, wanted[index])
    assert_close(evaluate(network, x), wanted[network.output])


def test_slopes_are_those_of_autograd(name, case):
    network, _ = case
    x = generic(network)
    found = slopes(network, x)
    wanted = oracles.jacobian(network, x)
    if name in POLYHEDRAL:
        assert torch.equal(found, wanted)
    assert_close(found, wanted)


def test_slopes_on_kinks_are_those_of_the_convention():
    network, x = NETWORKS["one_unit"]()
    assert slopes(network, x).flatten().tolist() == [0.0, 0.0, 1.0]
    network = NETWORKS["absolute_value"]()[0]
    (first,) = [n for n in network.nodes if isinstance(n, Affine)][:1]
    zero = torch.linalg.lstsq(first.terms[0].map.matrix[:2], -first.bias[:2, None])[0].T
    gates = freeze(network, zero, network.output).gates
    z = node_values(network, zero, [1])[1]
    assert torch.equal(next(iter(gates.values())), z > 0)


def test_pieces_change_nothing(name, case, tiny_pieces):
    network, x = case
    wanted = oracles.replayed(network, x)[network.output]
    assert_close(evaluate(network, x), wanted)
    points = generic(network, count=3)
    assert_close(slopes(network, points), oracles.jacobian(network, points))


def test_no_inputs(name, case):
    network, x = case
    assert evaluate(network, x[:0]).shape == (0, *network.output_shape)
    assert slopes(network, x[:0]).shape == (0, network.output_size, network.input_size)


def test_walks_leave_their_arguments_alone(case):
    network, x = case
    frozen = freeze(network, x, network.output, keep=range(len(network.nodes)))
    held = [x, *frozen.values.values(), *frozen.gates.values()]
    weights = whole(2 * x.shape[0], *network.output_shape, seed=4)
    directions = whole(2 * x.shape[0], *network.input_shape, seed=5)
    held += [weights, directions]
    before = [array.clone() for array in held]
    adjoint(frozen, weights)
    tangent(frozen, directions)
    evaluate(network, x)
    assert all(torch.equal(a, b) for a, b in zip(held, before, strict=True))


def test_results_do_not_lie_in_the_input():
    network = from_layers([([[1.0]], None)])
    same = replace(network, nodes=network.nodes[:1], output=0)
    x = torch.ones(2, 1).double()
    evaluate(same, x).zero_()
    assert x.sum() == 2


def test_single_precision(name, case):
    network, x = case
    narrow = converted(network, torch.float32)
    found = evaluate(narrow, x)
    assert found.dtype == torch.float64
    wanted = oracles.replayed(network, x)[network.output]
    assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-3)
    frozen = freeze(narrow, narrow.as_input(x), narrow.output)
    weights = torch.ones(x.shape[0], *network.output_shape)
    assert adjoint(frozen, weights).dtype == torch.float32
    assert tangent(frozen, narrow.as_input(x)).dtype == torch.float32


def test_between_two_nodes(case):
    network, _ = case
    x = generic(network, count=2)
    middle = next((i for i, _ in network.nonlinear()), network.output)
    frozen = freeze(network, x, network.output)
    direction = whole(x.shape[0], *network.input_shape, seed=3)
    there = tangent(frozen, direction, end=middle)
    inner = oracles.jacobian(network, x, middle)
    wanted = torch.einsum("noi,ni->no", inner, direction.flatten(1))
    assert_close(there.flatten(1), wanted)
    weight = whole(x.shape[0], *network.nodes[middle].shape, seed=4)
    back = adjoint(frozen, weight, end=middle)
    assert_close(back.flatten(1), torch.einsum("noi,no->ni", inner, weight.flatten(1)))


def test_a_walk_keeps_what_is_asked(case):
    network, _ = case
    x = generic(network, count=2)
    frozen = freeze(network, x, network.output)
    keep = range(len(network.nodes))
    direction = whole(3 * x.shape[0], *network.input_shape, seed=3)
    found = tangent_walk(frozen, direction, keep=keep)
    for index, value in found.items():
        assert_close(value, tangent(frozen, direction, end=index))
    unreached = set(keep) - found.keys()
    for index in unreached & network.ancestors(network.output):
        assert not tangent(frozen, direction, end=index).any()


def test_weights_at_several_nodes_add_up():
    network, _ = NETWORKS["residual"]()
    x = generic(network)
    frozen = freeze(network, x, network.output)
    places = [network.output, network.layers[1].output]
    weights = {i: whole(x.shape[0], *network.nodes[i].shape, seed=i) for i in places}
    seen = []
    found = adjoint_walk(
        frozen, weights, visit=lambda index, whole_: seen.append(index)
    )
    assert torch.equal(
        found, sum(adjoint(frozen, w, end=i) for i, w in weights.items())
    )
    assert torch.equal(found, adjoint_walk(frozen, weights))
    assert seen == sorted(seen, reverse=True)
    assert seen[0] == network.output
    assert seen[-1] == 0


def test_parts_of_a_frozen_network():
    network, _ = NETWORKS["attention"]()
    x = generic(network)
    frozen = freeze(network, x, network.output)
    weights = units(network.output_size, network.output_shape, x.shape[0])
    whole_ = adjoint(frozen, weights).unflatten(0, (x.shape[0], -1))
    part = adjoint(frozen_part(frozen, slice(1, 3)), weights[2:6])
    assert_close(part.unflatten(0, (2, -1)), whole_[1:3])


@given(st.integers(0, 10**6), st.sampled_from(sorted(NETWORKS)))
def test_tangents_and_adjoints_are_transposes(seed, name):
    network = NETWORKS[name]()[0]
    x = whole(2, *network.input_shape, seed=seed)
    frozen = freeze(network, x, network.output)
    v = whole(2, *network.input_shape, seed=seed + 1)
    w = whole(2, *network.output_shape, seed=seed + 2)
    left = (tangent(frozen, v) * w).flatten(1).sum(1)
    right = (v * adjoint(frozen, w)).flatten(1).sum(1)
    assert torch.allclose(left, right, rtol=1e-9, atol=1e-9)


@given(st.integers(0, 10**6))
def test_small_whole_networks_are_exact(seed):
    shapes = ((4, 2), (3, 4), (2, 3))
    layers = [
        (whole(*shape, seed=seed + i).tolist(), whole(shape[0], seed=seed + i).tolist())
        for i, shape in enumerate(shapes)
    ]
    x = whole(1, 2, seed=seed + 9) / 8
    found = evaluate(from_layers(layers), x)[0]
    assert found.tolist() == oracles.rational_mlp(layers, x[0].tolist())


def test_refusals():
    network, x = NETWORKS["max_pool"]()
    with pytest.raises(ShapeError, match=r"x\[None\]") as shape:
        evaluate(network, x[0])
    assert shape.value.wanted == (1, 6, 6)
    broken = x.clone()
    broken[1, 0, 2, 3] = torch.nan
    with pytest.raises(NotFiniteError, match="1 of its 144"):
        evaluate(network, broken)
    with pytest.raises(UnknownNameError) as name:
        evaluate(network, x, layer="rellu")
    assert "relu" in name.value.nearest


def test_layers_by_name_and_number():
    network, x = NETWORKS["max_pool"]()
    values = oracles.replayed(network, x)
    by_name = {node.name: i for i, node in enumerate(network.nodes)}
    for layer, node in ((0, "relu"), ("pool", "pool"), ("conv", "conv"), (-1, "pool")):
        assert torch.equal(evaluate(network, x, layer=layer), values[by_name[node]])
    assert isinstance(network.nodes[0], Input)
