"""Which reshapes are clear, and which need the user's word."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relulens.data.arrangement import arrangement
from relulens.errors import InvalidArgumentError, ShapeError


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ((28, 28), (1, 28, 28)),
        ((28, 28, 1), (1, 28, 28)),
        ((784,), (784, 1)),
        ((28, 28), (784,)),
        ((784,), (1, 28, 28)),
        ((1, 28, 28), (784, 1)),
        ((3, 4, 5), (3, 4, 5)),
        ((3, 1, 5), (3, 5)),
        ((), (1,)),
    ],
)
def test_clear_orders_are_kept(found, wanted):
    rows = np.arange(2 * int(np.prod(found))).reshape(2, *found)
    arranged = arrangement(found, wanted, None, count=2).arrange(rows)
    assert arranged.shape == (2, *wanted)
    assert (arranged.ravel() == rows.ravel()).all()


@pytest.mark.parametrize(
    ("found", "wanted", "advice"),
    [
        ((32, 32, 3), (3, 32, 32), "layout='NHWC'"),
        ((3072,), (3, 32, 32), "layout='NCHW'"),
        ((3, 32, 32), (3072,), "the order of the numbers is not clear"),
        ((4, 6), (6, 4), "the order of the numbers is not clear"),
        ((785,), (784,), "785 numbers and an input 784"),
        ((2, 8), (16, 1, 1, 2), "resize"),
    ],
)
def test_unclear_orders_are_refused(found, wanted, advice):
    with pytest.raises(ShapeError, match="cannot use the data") as caught:
        arrangement(found, wanted, None, count=7)
    assert (caught.value.found, caught.value.wanted) == ((7, *found), wanted)
    assert advice in str(caught.value)


def test_layout_moves_channels():
    rows = np.arange(2 * 4 * 5 * 3).reshape(2, 4, 5, 3)
    arranged = arrangement((4, 5, 3), (3, 4, 5), "NHWC", count=2).arrange(rows)
    for c in range(3):
        assert (arranged[:, c] == rows[..., c]).all()


def test_layout_unfolds_flat_rows():
    pixel_by_pixel = np.arange(24).reshape(1, 2, 4, 3)
    flat = pixel_by_pixel.reshape(1, 24)
    last = arrangement((24,), (3, 2, 4), "NHWC", count=1).arrange(flat)
    assert (last == pixel_by_pixel.transpose(0, 3, 1, 2)).all()
    first = arrangement((24,), (3, 2, 4), "NCHW", count=1).arrange(flat)
    assert (first == flat.reshape(1, 3, 2, 4)).all()


def test_what_is_done_is_said():
    assert arrangement((2, 3), (2, 3), None, count=1).words == ""
    assert "channels" in arrangement((4, 5, 3), (3, 4, 5), "NHWC", count=1).words
    assert "[1, 2, 3]" in arrangement((2, 3), (1, 2, 3), None, count=1).words


def test_unknown_layout_is_refused():
    with pytest.raises(InvalidArgumentError, match="'CHW'"):
        arrangement((2, 3), None, "CHW", count=1)


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    places=st.lists(st.integers(0, 4), max_size=3),
)
def test_axes_of_length_one_never_change_the_order(shape, places):
    wanted = list(shape)
    for place in places:
        wanted.insert(min(place, len(wanted)), 1)
    rows = np.arange(3 * int(np.prod(shape))).reshape(3, *shape)
    arranged = arrangement(tuple(shape), tuple(wanted), None, count=3).arrange(rows)
    assert (arranged == rows.reshape(3, *wanted)).all()
