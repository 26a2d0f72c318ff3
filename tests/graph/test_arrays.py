"""Numbers that callers pass: every kind of array gives the same tensor."""

import numpy as np
import pytest
import torch

import relulens as rl
from relulens.errors import InvalidArgumentError
from relulens.graph.arrays import tensor_of

NUMBERS = np.array([[1.0, 2.0], [3.0, 4.0]])


def read_only():
    array = NUMBERS.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "given",
    [
        NUMBERS,
        NUMBERS.tolist(),
        NUMBERS[::-1][::-1],
        NUMBERS[::-1].copy()[::-1],
        read_only(),
        NUMBERS.astype(">f8"),
        NUMBERS.astype(np.uint16),
        NUMBERS.astype(int),
        torch.tensor(NUMBERS, requires_grad=True),
    ],
)
def test_every_kind_of_array_gives_the_same_numbers(given):
    found = tensor_of(given, subject="x")
    assert not found.requires_grad
    assert torch.equal(found.double(), torch.from_numpy(NUMBERS))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("abc", "a str of <U3 numbers"),
        ([[1.0], [1.0, 2.0]], "rows differ in length"),
        (None, "a NoneType of object"),
        (NUMBERS + 1j, "a ndarray of complex128"),
        (torch.tensor([1j]), "complex64"),
    ],
)
def test_what_holds_no_real_numbers_is_refused(given, words):
    with pytest.raises(InvalidArgumentError, match=words):
        tensor_of(given, subject="x")


def test_inputs_may_be_flipped_read_only_and_of_foreign_byte_order():
    network = rl.from_layers([([[1.0, 2.0]], None), ([[1.0]], None)])
    x = NUMBERS[::-1]
    expected = [[11.0], [5.0]]
    assert rl.evaluate(network, x).tolist() == expected
    assert rl.evaluate(network, x.astype(">f4")).tolist() == expected
    assert rl.evaluate(network, np.broadcast_to(x[:1], (1, 2))).tolist() == [[11.0]]
    with pytest.raises(InvalidArgumentError, match="cannot use x: a str"):
        rl.evaluate(network, "x")


def test_boxes_take_numbers_of_shapes_that_fit():
    assert rl.Box([[0.0], [1.0]], 2).low.shape == (2, 1)
    with pytest.raises(InvalidArgumentError, match=r"shape \[2\] and high \[3\]"):
        rl.Box([0.0, 0.0], [1.0, 2.0, 3.0])
    with pytest.raises(InvalidArgumentError, match="cannot use low: a str"):
        rl.Box("a", 1)


def test_planes_take_points_of_one_shape():
    with pytest.raises(InvalidArgumentError, match=r"shapes \[3\], \[2\], \[2\]"):
        rl.Plane.through([0.0, 0.0, 0.0], [1.0, 0.0], [0.0, 1.0])
    with pytest.raises(InvalidArgumentError, match="cannot use the origin"):
        rl.Plane("a", "b")
    network = rl.from_layers([([[1.0, 2.0]], None), ([[1.0]], None)])
    plane = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(InvalidArgumentError, match="a Box of object numbers"):
        rl.slice_partition(network, plane, rl.Box(0, 1))
