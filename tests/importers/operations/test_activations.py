"""Activations: values and slopes of curves, exact piecewise forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from relulens.errors import InvalidArgumentError
from relulens.graph.evaluate import evaluate
from relulens.graph.network import Network, Provenance
from relulens.graph.nodes import Coupled, Smooth, TwoSlope
from relulens.graph.smooth import SmoothFunction
from relulens.importers.builder import Builder, with_batch
from relulens.importers.operations import activations, curves
from relulens.importers.operations.products import split_mask

CURVES = {
    "silu": (curves.SILU, functional.silu),
    "mish": (curves.MISH, functional.mish),
    "gelu tanh": (curves.GELU_TANH, lambda z: functional.gelu(z, approximate="tanh")),
    "hardswish": (curves.HARDSWISH, functional.hardswish),
    "log sigmoid": (curves.LOG_SIGMOID, functional.logsigmoid),
    "atan": (curves.ATAN, torch.atan),
    "expm1": (curves.EXPM1, torch.expm1),
    "log1p": (curves.LOG1P, torch.log1p),
    "rsqrt": (curves.RSQRT, torch.rsqrt),
    "elu": (curves.elu(0.7), lambda z: functional.elu(z, 0.7)),
    "elu steep": (curves.elu(2.0), lambda z: functional.elu(z, 2.0)),
    "elu negative": (curves.elu(-0.5), lambda z: functional.elu(z, -0.5)),
    "selu": (curves.elu(curves.SELU_ALPHA, curves.SELU_SCALE), functional.selu),
    "softplus": (curves.softplus(2.0, 3.0), lambda z: functional.softplus(z, 2.0, 3.0)),
    "cube": (curves.power(3), lambda z: z**3),
    "fourth": (curves.power(4), lambda z: z**4),
    "root": (curves.power(0.3), lambda z: z**0.3),
    "inverse": (curves.power(-1.5), lambda z: z**-1.5),
}


def points(function: SmoothFunction) -> Tensor:
    z = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    low = function.domain[0]
    return z if low == -math.inf else z.abs() + low + 0.01


@pytest.mark.parametrize("name", CURVES)
def test_curves_follow_torch_and_its_derivative(name: str) -> None:
    function, oracle = CURVES[name]
    z = points(function).requires_grad_()
    value = oracle(z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    z, value = z.detach(), value.detach()
    assert torch.allclose(function.value(z), value, rtol=1e-13, atol=1e-14)
    away = torch.ones_like(z, dtype=torch.bool)
    for kink in function.kinks:
        away &= (z - kink).abs() > 1e-9
    scale = slope.abs().clamp(min=1.0)
    assert bool(((function.slope(z) - slope).abs() / scale)[away].max() < 1e-7)


@pytest.mark.parametrize("name", CURVES)
def test_slope_ranges_and_turns_hold_between_points(name: str) -> None:
    function, _ = CURVES[name]
    z = points(function).sort().values
    slope = function.slope(z)
    low, high = function.slopes
    assert low <= float(slope.min())
    assert float(slope.max()) <= high
    if math.isfinite(low) and math.isfinite(high) and name != "atan":
        assert float(slope.min()) - low < 0.01
        assert high - float(slope.max()) < 0.01
    z, slope = z[slope != 0], slope[slope != 0]
    changes = z[:-1][(slope[:-1] * slope[1:]) < 0]
    assert len(changes) == len(function.turns)
    for at, turn in zip(changes.tolist(), function.turns, strict=True):
        assert at == pytest.approx(turn, abs=0.01)
    if function.bends is not None and not function.kinks:
        bends = (slope.diff()[:-1] * slope.diff()[1:] < 0).nonzero().flatten()
        found = z[bends + 1][(slope[bends + 1] - slope[bends]).abs() > 1e-12]
        assert found.tolist() == pytest.approx(list(function.bends), abs=0.01)
    values = function.value(z)
    least, most = function.image(z[:1], z[-1:])
    assert float(least) <= float(values.min()) + 1e-12
    assert float(most) >= float(values.max()) - 1e-12


def made(function: object, shape: tuple[int, ...] = (4,)) -> Network:
    build = Builder()
    x = build.input("x", with_batch(shape))
    return build.network(function(build, x), provenance=Provenance(format="layers"))


numbers = st.lists(
    st.integers(-40, 40).map(lambda n: n / 4), min_size=4, max_size=4
).map(lambda row: torch.tensor([row], dtype=torch.float64))


@given(x=numbers, bounds=st.tuples(st.integers(-5, 5), st.integers(-5, 5)))
def test_clamps_are_exact(x: Tensor, bounds: tuple[int, int]) -> None:
    low, high = bounds
    for least, most, count in ((low, high, 2), (low, None, 1), (None, high, 1)):
        network = made(lambda b, v, a=least, z=most: activations.clamp(b, "c", v, a, z))
        # torch gives ``high`` everywhere where the bounds are in the wrong order.
        assert torch.equal(evaluate(network, x), x.clamp(least, most))
        kinds = [n for n in network.nodes if isinstance(n, TwoSlope)]
        assert len(kinds) == count
        (layer,) = network.layers
        assert len(layer.nodes) == count
        assert network.find("c") == network.output


@given(x=numbers)
def test_piecewise_activations_are_exact(x: Tensor) -> None:
    pairs = {
        functional.relu6: activations.relu6,
        functional.hardtanh: activations.hardtanh,
        torch.abs: activations.absolute,
        functional.relu: activations.relu,
        functional.softshrink: activations.softshrink,
    }
    for oracle, rule in pairs.items():
        network = made(lambda b, v, r=rule: r(b, "a", v))
        assert torch.equal(evaluate(network, x), oracle(x))
        assert len(network.layers) == 1


def test_infinite_bounds_are_no_bounds() -> None:
    network = made(lambda b, v: activations.clamp(b, "c", v, 0.0, math.inf))
    assert network.layers[0].nodes == (2,)
    x = torch.tensor([[-1.0, 0.0, 2.0, 1e300]], dtype=torch.float64)
    assert torch.equal(evaluate(network, x), x.relu())


def test_named_powers_and_refusals() -> None:
    assert made(lambda b, v: activations.power(b, "p", v, 1.0)).layers == ()
    square = made(lambda b, v: activations.power(b, "p", v, 2.0))
    assert isinstance(square.nodes[1], Smooth)
    with pytest.raises(InvalidArgumentError, match="power of 0"):
        made(lambda b, v: activations.power(b, "p", v, 0.0))
    with pytest.raises(InvalidArgumentError, match="jumps"):
        made(lambda b, v: activations.threshold(b, "t", v, 1.0, 0.0))
    with pytest.raises(InvalidArgumentError, match="broadcast"):
        made(lambda b, v: activations.clamp(b, "c", v, torch.zeros(5), None))


def test_masked_softmax_leaves_entries_out() -> None:
    mask = torch.tensor([0.0, -math.inf, 0.0, -math.inf])
    network = made(lambda b, v: activations.softmax(b, "s", v, -1, mask))
    x = torch.randn(3, 4, dtype=torch.float64)
    assert torch.allclose(evaluate(network, x), (x + mask).softmax(-1), atol=1e-16)
    assert isinstance(network.nodes[network.output], Coupled)
    bias, closed = split_mask(torch.tensor([1.0, -math.inf]))
    assert bias is not None
    assert closed is not None
    assert bias.tolist() == [1.0, 0.0]
    assert closed.tolist() == [0.0, -math.inf]
    assert split_mask(torch.tensor([True, True])) == (None, None)
