"""Every kind of linear map against the dense matrix that torch's own layers give."""

import numpy as np
import oracles
import pytest
import torch
from linear_maps import MAPS
from networks import whole

from relulens.errors import MemoryLimitError
from relulens.graph.linear_map import LinearMap


@pytest.fixture(params=MAPS)
def map_(request) -> LinearMap:
    return MAPS[request.param]()


@pytest.fixture
def dense(map_):
    return oracles.matrix(map_)


def _batches(shape, *counts):
    return [whole(count, *shape, seed=count) for count in counts]


def test_shapes_are_those_of_the_matrix(map_, dense):
    assert dense.shape == (map_.out_size, map_.in_size)


def test_apply_is_the_matrix(map_, dense):
    for x in _batches(map_.in_shape, 3, 1, 0):
        value = map_.apply(x)
        assert value.shape == (x.shape[0], *map_.out_shape)
        wanted = x.reshape(x.shape[0], map_.in_size) @ dense.T
        assert_close(value.reshape(x.shape[0], map_.out_size), wanted)


def test_adjoint_is_the_transposed_matrix(map_, dense):
    for y in _batches(map_.out_shape, 3, 1, 0):
        value = map_.adjoint(y)
        assert value.shape == (y.shape[0], *map_.in_shape)
        wanted = y.reshape(y.shape[0], map_.out_size) @ dense
        assert_close(value.reshape(y.shape[0], map_.in_size), wanted)


def test_arguments_are_left_alone(map_):
    x, y = whole(2, *map_.in_shape, seed=1), whole(2, *map_.out_shape, seed=2)
    before = x.clone(), y.clone()
    map_.apply(x)
    map_.adjoint(y)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


def test_arguments_in_any_memory_order(map_, dense):
    x = whole(3, *map_.in_shape, seed=5)
    turned = x.transpose(0, -1).contiguous().transpose(0, -1)
    assert_close(map_.apply(turned), map_.apply(x))
    y = whole(2, 1, *map_.out_shape, seed=5).expand(2, 3, *map_.out_shape)
    assert_close(map_.adjoint(y[:, 0]), map_.adjoint(y[:, 1].contiguous()))


def test_sparse_and_dense_forms(map_, dense):
    sparse = map_.to_sparse()
    assert sparse.dtype == np.float64
    assert sparse.shape == tuple(dense.shape)
    assert_close(torch.from_numpy(sparse.toarray()), dense)
    assert_close(map_.to_dense(), dense)
    assert sparse.has_canonical_format


def test_entries_and_fans_are_upper_bounds(map_, dense):
    present = dense != 0
    rows, columns = map_.fans()
    assert map_.entries() >= int(present.sum())
    assert rows >= int(present.sum(1).max() if present.numel() else 0)
    assert columns >= int(present.sum(0).max() if present.numel() else 0)


def test_what_is_said_of_rows_and_columns_is_true(map_, dense):
    present = dense != 0
    if map_.rows_single:
        assert (present.sum(1) <= 1).all()
    if map_.columns_single:
        assert (present.sum(0) <= 1).all()
    if map_.nonnegative:
        assert (dense >= 0).all()


def test_absolute_is_exact_or_dominates(map_, dense):
    part = map_.absolute()
    found = oracles.matrix(part.map)
    assert part.map.nonnegative
    assert part.exact
    assert_close(found, dense.abs())
    x = whole(2, *map_.in_shape, seed=9).abs()
    assert_close(
        part.map.apply(x).reshape(2, map_.out_size),
        x.reshape(2, map_.in_size) @ dense.abs().T,
    )


def test_absolute_without_room_dominates_and_says_so(map_, dense):
    part = map_.absolute(limit=0)
    found = oracles.matrix(part.map)
    assert (found >= dense.abs() - 1e-12).all()
    if part.exact:
        assert_close(found, dense.abs())


def test_another_type(map_, dense):
    narrow = map_.to(torch.float32, torch.device("cpu"))
    x, y = whole(2, *map_.in_shape, seed=1), whole(2, *map_.out_shape, seed=2)
    assert narrow.apply(x.float()).dtype == torch.float32
    assert narrow.adjoint(y.float()).dtype == torch.float32
    close = {"rtol": 1e-5, "atol": 1e-5}
    assert torch.allclose(narrow.apply(x.float()).double(), map_.apply(x), **close)
    assert torch.allclose(narrow.adjoint(y.float()).double(), map_.adjoint(y), **close)
    again = narrow.absolute().map
    assert again.apply(x.float().abs()).dtype == torch.float32


def test_too_large_matrices_are_refused(map_):
    if map_.to_sparse().nnz:
        with pytest.raises(MemoryLimitError) as refusal:
            map_.to_sparse(limit=8)
        assert refusal.value.needed > refusal.value.limit == 8
    if map_.in_size and map_.out_size:
        with pytest.raises(MemoryLimitError) as refusal:
            map_.to_dense(limit=7)
        assert refusal.value.needed == 8 * map_.in_size * map_.out_size


def assert_close(found, wanted):
    """Compare up to the rounding of averages; all else is whole."""
    assert found.shape == wanted.shape
    assert torch.allclose(found, wanted, rtol=1e-14, atol=1e-14)
