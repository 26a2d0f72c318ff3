"""Sliding windows against torch's pooling, for many parameters."""

from itertools import product

import oracles
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from networks import whole
from torch.nn import functional

from relulens.errors import InvalidArgumentError
from relulens.graph.maps import AveragePool, Convolution
from relulens.graph.maps.windows import Windows

_LEGAL = [
    (size, stride, padding, dilation, ceil_mode)
    for size, stride, padding, dilation, ceil_mode in product(
        (1, 2, 3, 4), (1, 2, 3), (0, 1, 2), (1, 2, 3), (False, True)
    )
    if 2 * padding <= size
]


def _one(size, stride, padding, dilation, ceil_mode):
    return Windows((size,), (stride,), ((padding, padding),), (dilation,), ceil_mode)


@pytest.mark.parametrize("length", [1, 4, 5, 6, 7, 10])
def test_counts_and_positions_are_those_of_torch(length):
    tried = 0
    for size, stride, padding, dilation, ceil_mode in _LEGAL:
        if dilation * (size - 1) + 1 > length + 2 * padding:
            continue
        windows = _one(size, stride, padding, dilation, ceil_mode)
        # Rising entries: the winners tell a window's last and first entry.
        x = torch.arange(1.0, length + 1).double()[None, None]
        for sign in (1, -1):
            value, place = functional.max_pool1d(
                sign * x, size, stride, padding, dilation, ceil_mode, True
            )
            assert windows.out_lengths((length,)) == (value.shape[-1],)
            table = windows.positions((length,))
            assert table.shape == (value.shape[-1], size)
            real = (table >= 0).any(1)
            assert windows.empty((length,)) == int((~real).sum())
            assert torch.isneginf(value[0, 0]).tolist() == (~real).tolist()
            end = -1 if sign == 1 else 0
            ends = [row[row >= 0][end] for row in table[real]]
            assert place[0, 0][torch.from_numpy(real)].tolist() == ends
        tried += 1
    assert tried


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("count", [False, True])
def test_averages_are_those_of_torch(ceil_mode, count):
    for size, stride, padding in product((2, 3, 4), (1, 2, 3), (0, 1, 2)):
        if 2 * padding > size:
            continue
        windows = Windows(
            (size, 2), (stride, 1), ((padding, padding), (1, 1)), (1, 1), ceil_mode
        )
        map_ = AveragePool((2, 7, 5), windows, count)
        x = whole(2, 2, 7, 5, seed=size)
        assert map_.out_shape == tuple(oracles.averaged(map_, x).shape[1:])
        assert torch.allclose(map_.apply(x), oracles.averaged(map_, x), atol=1e-14)


def test_uneven_padding_of_averages():
    windows = Windows((3, 2), (2, 1), ((2, 0), (0, 1)), (1, 1))
    x = whole(2, 3, 6, 5, seed=1)
    padded = functional.pad(x, (0, 1, 2, 0))
    wanted = functional.avg_pool2d(padded, (3, 2), (2, 1))
    found = AveragePool((3, 6, 5), windows, True)
    assert torch.allclose(found.apply(x), wanted, atol=1e-14)
    ones = functional.avg_pool2d(functional.pad(torch.ones_like(x), (0, 1, 2, 0)), 1)
    share = functional.avg_pool2d(ones, (3, 2), (2, 1))
    bare = AveragePool((3, 6, 5), windows, False)
    assert torch.allclose(bare.apply(x), wanted / share, atol=1e-14)


@given(
    size=st.integers(1, 5),
    stride=st.integers(1, 5),
    dilation=st.integers(1, 4),
    padding=st.integers(0, 3),
    length=st.integers(1, 30),
)
def test_overlap_is_a_bound_that_is_attained_far_from_the_ends(
    size, stride, dilation, padding, length
):
    reach = dilation * (size - 1) + 1
    assume(reach <= length + 2 * padding)
    windows = _one(size, stride, padding, dilation, False)
    table = windows.positions((length,))
    used = torch.bincount(torch.from_numpy(table[table >= 0]), minlength=length)
    assert int(used.max(initial=0) if used.numel() == 0 else used.max()) <= (
        windows.overlap()
    )
    if padding == 0 and length >= reach + 2 * stride * dilation * size:
        assert int(used.max()) == windows.overlap()


def test_windows_of_padding_only_are_counted():
    windows = Windows((2,), (1,), ((1, 1),), (5,))
    assert windows.empty((4,)) == windows.out_lengths((4,))[0] == 1
    assert windows.empty((5,)) == 0
    wide = Windows((2, 1), (1, 1), ((4, 4), (0, 0)), (6, 1))
    table = wide.positions((2, 3))
    assert wide.empty((2, 3)) == int((table < 0).all(1).sum()) > 0


def test_refusals():
    uneven = Windows((2,), (1,), ((0, 1),), (1,))
    with pytest.raises(InvalidArgumentError, match="alike before and after"):
        Convolution(whole(1, 1, 2), (1, 4), uneven)
    even = Windows((2,), (1,), ((0, 0),), (1,))
    with pytest.raises(InvalidArgumentError, match=r"\[1, 2, 2\] in 1 groups"):
        Convolution(whole(1, 2, 2), (1, 4), even)
    with pytest.raises(InvalidArgumentError, match="dilation"):
        AveragePool((1, 6), Windows((2,), (1,), ((0, 0),), (2,)))
    padded = Windows((1,), (1,), ((1, 1),), (1,))
    with pytest.raises(InvalidArgumentError, match="2 of its windows"):
        AveragePool((1, 3), padded)


@pytest.mark.parametrize("room", [1, 3000, 1 << 30])
def test_convolutions_in_pieces_are_convolutions(room, monkeypatch):
    monkeypatch.setattr("relulens.graph.maps.convolution._CACHED", room)
    kernel = Windows((3, 3), (1, 1), ((1, 1),) * 2, (1, 1))
    map_ = Convolution(whole(3, 2, 3, 3), (2, 5, 5), kernel)
    for count in (0, 1, 2, 7):
        x = whole(count, 2, 5, 5, seed=count)
        assert torch.equal(map_.apply(x), oracles.applied(map_, x))
