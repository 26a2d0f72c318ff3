"""Convolutions and pooling: drawn settings against torch, whole numbers, exact."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from networks import whole
from torch import Tensor
from torch.nn import functional

from relulens.errors import InvalidArgumentError
from relulens.graph.evaluate import evaluate
from relulens.graph.freeze import freeze
from relulens.graph.maps.windows import Windows
from relulens.graph.network import Network, Provenance
from relulens.graph.tangent import adjoint
from relulens.importers.builder import Builder, with_batch
from relulens.importers.operations import convolution, pooling

small = st.integers(1, 3)


def made(function: object, shape: tuple[int, ...]) -> Network:
    build = Builder()
    x = build.input("x", with_batch(shape))
    return build.network(function(build, x), provenance=Provenance(format="layers"))


def assert_exact(network: Network, x: Tensor, theirs: Tensor) -> None:
    """Compare values with ``==`` and the adjoint with autograd's."""
    assert torch.equal(evaluate(network, x.detach()), theirs.detach())
    weights = whole(*theirs.shape, seed=5)
    (pulled,) = torch.autograd.grad(theirs, x, weights)
    frozen = freeze(network, x.detach(), network.output)
    assert torch.equal(adjoint(frozen, weights), pulled)
    assert evaluate(network, x[:0].detach()).shape == (0, *theirs.shape[1:])


@given(
    rank=small,
    stride=small,
    dilation=small,
    padding=st.integers(0, 2),
    groups=st.integers(1, 2),
    window=small,
)
def test_convolutions(
    rank: int, stride: int, dilation: int, padding: int, groups: int, window: int
) -> None:
    lengths = (7, 6, 5)[:rank]
    x = whole(2, 4, *lengths).requires_grad_()
    weight = whole(6, 4 // groups, *[window] * rank, seed=1)
    bias = whole(6, seed=2)
    oracle = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
    assume(dilation * (window - 1) < min(lengths) + 2 * padding)
    theirs = oracle(x, weight, bias, stride, padding, dilation, groups)
    network = made(
        lambda b, v: convolution.convolution(
            b,
            "conv",
            v,
            weight,
            bias,
            stride=[stride] * rank,
            padding=[(padding, padding)] * rank,
            dilation=[dilation] * rank,
            groups=groups,
        ),
        (4, *lengths),
    )
    assert_exact(network, x, theirs)


@given(
    stride=small,
    dilation=small,
    padding=st.integers(0, 2),
    groups=st.integers(1, 2),
    window=small,
    extra=st.integers(0, 2),
)
def test_transposed_convolutions(
    stride: int, dilation: int, padding: int, groups: int, window: int, extra: int
) -> None:
    assume(extra < max(stride, dilation))
    grown = 3 * stride - 2 * padding + dilation * (window - 1) + 1 + extra
    assume(grown > 0)
    x = whole(2, 4, 4, 4).requires_grad_()
    weight = whole(4, 3, window, window, seed=1)
    bias = whole(3 * groups, seed=2)
    settings = (stride, padding, extra, groups, dilation)
    theirs = functional.conv_transpose2d(x, weight, bias, *settings)
    network = made(
        lambda b, v: convolution.transposed_convolution(
            b,
            "up",
            v,
            weight,
            bias,
            stride=[stride] * 2,
            padding=[(padding, padding)] * 2,
            dilation=[dilation] * 2,
            output_padding=[extra] * 2,
            groups=groups,
        ),
        (4, 4, 4),
    )
    assert_exact(network, x, theirs)


@pytest.mark.parametrize("pads", [((1, 2), (0, 3)), ((0, 1), (2, 0))])
def test_uneven_padding(pads: tuple[tuple[int, int], ...]) -> None:
    x = whole(2, 2, 5, 5).requires_grad_()
    weight = whole(3, 2, 2, 3, seed=1)
    (top, bottom), (left, right) = pads
    theirs = functional.conv2d(functional.pad(x, (left, right, top, bottom)), weight)
    network = made(
        lambda b, v: convolution.convolution(
            b, "conv", v, weight, None, stride=(1, 1), padding=pads, dilation=(1, 1)
        ),
        (2, 5, 5),
    )
    assert_exact(network, x, theirs)
    assert convolution.same_padding((4, 3), (1, 2)) == ((1, 2), (2, 2))
    assert convolution.same_padding((4,), (1,), upper=False) == ((2, 1),)


@given(
    stride=small,
    padding=st.integers(0, 1),
    ceil=st.booleans(),
    dilation=st.integers(1, 2),
)
def test_maximum_pooling(stride: int, padding: int, ceil: bool, dilation: int) -> None:
    # Different numbers, since torch's own gradient splits no ties either.
    order = torch.randperm(2 * 3 * 49, generator=torch.Generator().manual_seed(0))
    x = order.double().reshape(2, 3, 7, 7).requires_grad_()
    theirs = functional.max_pool2d(x, 2, stride, padding, dilation, ceil)
    pads = ((padding, padding),) * 2
    windows = Windows((2, 2), (stride,) * 2, pads, (dilation,) * 2, ceil)
    network = made(lambda b, v: pooling.max_pool(b, "pool", v, windows), (3, 7, 7))
    assert_exact(network, x, theirs)


@given(stride=small, padding=st.integers(0, 1), ceil=st.booleans(), count=st.booleans())
def test_average_pooling(stride: int, padding: int, ceil: bool, count: bool) -> None:
    # Windows of 2 by 2 and numbers divisible by 12 keep every average whole.
    x = (12 * whole(2, 3, 7, 6)).requires_grad_()
    settings = (2, stride, padding, ceil, count)
    theirs = functional.avg_pool2d(x, *settings)
    windows = Windows((2, 2), (stride,) * 2, ((padding, padding),) * 2, (1, 1), ceil)
    network = made(
        lambda b, v: pooling.average_pool(b, "pool", v, windows, count_padding=count),
        (3, 7, 6),
    )
    x_plain = x.detach()
    assert torch.equal(evaluate(network, x_plain), theirs.detach())
    divided = functional.avg_pool2d(x, 2, stride, padding, ceil, count, 3)
    other = made(
        lambda b, v: pooling.average_pool(
            b, "pool", v, windows, count_padding=count, divisor=3
        ),
        (3, 7, 6),
    )
    assert torch.allclose(evaluate(other, x_plain), divided.detach(), atol=1e-13)


@pytest.mark.parametrize("sizes", [(1, 1), (2, 3), (4, 5), (7, 6), (3, 2)])
def test_adaptive_pooling(sizes: tuple[int, int]) -> None:
    x = torch.randn(2, 3, 7, 6, dtype=torch.float64)
    mean = made(lambda b, v: pooling.adaptive_average_pool(b, "p", v, sizes), (3, 7, 6))
    theirs = functional.adaptive_avg_pool2d(x, sizes)
    assert torch.allclose(evaluate(mean, x), theirs, atol=1e-15)
    best = made(lambda b, v: pooling.adaptive_max_pool(b, "p", v, sizes), (3, 7, 6))
    assert torch.equal(evaluate(best, x), functional.adaptive_max_pool2d(x, sizes))


def test_windows_that_do_not_fit_are_refused() -> None:
    windows = Windows((3, 3), (1, 1), ((0, 0),) * 2, (1, 1))
    with pytest.raises(InvalidArgumentError, match="larger input"):
        made(lambda b, v: pooling.max_pool(b, "p", v, windows), (1, 2, 2))
    weight = whole(2, 3, 3, 3)
    with pytest.raises(InvalidArgumentError, match="reads 3 channels"):
        made(
            lambda b, v: convolution.convolution(
                b,
                "c",
                v,
                weight,
                None,
                stride=(1, 1),
                padding=((0, 0),) * 2,
                dilation=(1, 1),
            ),
            (2, 5, 5),
        )
