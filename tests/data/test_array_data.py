"""Data sets from memory, and the one that needs no file."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from relulens.data.digits import embedded_data
from relulens.data.fitting import chosen_rows
from relulens.data.read import array_data, read_data
from relulens.errors import DataError, NotFiniteError, ShapeError
from relulens.importers.layers import from_layers


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor, np.ndarray.tolist])
def test_any_array_is_taken(kind):
    x = np.arange(6.0).reshape(3, 2)
    data = array_data(kind(x), [0, 1, 0])
    assert data.take([2, 0]).tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert data.labels.tolist() == [0, 1, 0]


def test_tensors_with_gradients_and_short_floats_are_taken():
    x = torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True)
    assert array_data(x).take([0]).tolist() == [[1.0, 1.0, 1.0]]


def test_a_missing_batch_axis_is_named():
    network = from_layers([(np.ones((2, 3)), None)])
    with pytest.raises(ShapeError, match=r"x\[None\]"):
        array_data(np.ones(3), None, network)
    with pytest.raises(ShapeError):
        array_data(np.ones((4, 5)), None, network)


def test_no_inputs_are_valid():
    network = from_layers([(np.ones((2, 3)), None)])
    data = array_data(np.empty((0, 3)), np.empty(0, dtype=int), network)
    assert (len(data), data.labels.tolist()) == (0, [])


def test_bad_numbers_and_labels_are_refused():
    network = from_layers([(np.ones((2, 3)), None)])
    with pytest.raises(NotFiniteError):
        array_data(np.full((1, 3), np.nan), None, network)
    with pytest.raises(DataError, match="out of range"):
        array_data(np.ones((1, 3)), [2], network)


def test_the_hash_is_of_inputs_and_labels():
    x = np.arange(6.0).reshape(3, 2)
    whole = array_data(x, [0, 1, 0]).sha256
    assert whole == array_data(x.astype(np.float32), [0, 1, 0]).sha256
    assert whole != array_data(x, [0, 1, 1]).sha256
    assert whole != array_data(x).sha256
    assert whole != array_data(x.reshape(3, 2, 1), [0, 1, 0]).sha256
    assert whole != array_data(x + 1e-300 * (x == 0), [0, 1, 0]).sha256


@given(total=st.integers(0, 50), samples=st.integers(0, 60), seed=st.integers(0, 9))
def test_chosen_rows_are_distinct_and_ascending(total, samples, seed):
    rows = chosen_rows(total, samples, seed)
    assert len(rows) == min(total, samples)
    assert (np.diff(rows) > 0).all()
    assert ((rows >= 0) & (rows < total)).all()


def test_digits_are_the_quarter_not_trained_on():
    data = embedded_data()
    pixels, labels = load_digits(return_X_y=True)
    assert data.shape == (450, 1, 8, 8)
    assert (data.low, data.high) == (0.0, 16.0)
    rows = [int(name.split()[1]) for name in data.names]
    assert (data.take(range(450)).reshape(450, 64) == pixels[rows]).all()
    assert (data.labels == labels[rows]).all()


def test_mnist_and_cifar_are_read(shared):
    mnist = read_data(shared / "data" / "mnist", scale=255)
    assert mnist.shape == (10000, 28, 28)
    assert (mnist.low, mnist.high) == (0.0, 1.0)
    assert np.bincount(mnist.labels).tolist()[:2] == [980, 1135]
    cifar = shared / "data" / "cifar10" / "cifar10_test.npz"
    data = read_data(cifar, samples=20, layout="NCHW")
    assert (data.shape, str(data.dtype)) == ((20, 3, 32, 32), "uint8")
