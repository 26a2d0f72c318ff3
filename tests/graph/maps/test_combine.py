"""Products, sums and diagrams: absolute values, limits, checks."""

import oracles
import pytest
import torch
from linear_maps import MAPS
from networks import whole
from scipy.sparse import csr_array, random_array

from relulens.errors import InvalidArgumentError, MemoryLimitError
from relulens.graph.maps import (
    Added,
    AlongAxis,
    Arrow,
    Composed,
    Diagram,
    Gather,
    Identity,
    Reshape,
    Scale,
    SparseMatrix,
    SumOver,
    added,
    composed,
    diagram,
)
from relulens.graph.maps.sparse_product import product


def _dense(outs, ins, seed=0):
    return AlongAxis(whole(outs, ins, seed=seed), (ins,), 0)


def test_an_absolute_product_cancels_where_the_product_does():
    part = MAPS["cancelling"]().absolute()
    assert part.exact
    assert oracles.matrix(part.map).tolist() == [[0.0]]
    blind = MAPS["cancelling"]().absolute(limit=0)
    assert not blind.exact
    assert oracles.matrix(blind.map).tolist() == [[2.0]]


def test_an_absolute_sum_cancels_where_the_sum_does():
    part = MAPS["added to nothing"]().absolute()
    assert part.exact
    assert not oracles.matrix(part.map).any()
    blind = MAPS["added to nothing"]().absolute(limit=0)
    assert not blind.exact
    assert torch.equal(oracles.matrix(blind.map), 2 * torch.eye(2).double())


def test_an_absolute_diagram_without_room_dominates():
    blind = MAPS["diagram"]().absolute(limit=0)
    assert not blind.exact
    assert isinstance(blind.map, Diagram)


def test_products_around_one_adding_map_need_no_matrix():
    first = Scale(whole(4, seed=1), (4,))
    last = Scale(whole(3, seed=2), (3,))
    chain = Composed((first, _dense(3, 4), last))
    part = chain.absolute(limit=0)
    assert part.exact
    assert isinstance(part.map, Composed)
    assert torch.equal(oracles.matrix(part.map), oracles.matrix(chain).abs())


def test_gathering_twice_before_a_sum_can_cancel():
    # An entry taken twice with opposite weights cancels: columns are not single.
    twice = Gather((1,), torch.tensor([0, 0]))
    chain = Composed((twice, AlongAxis(torch.tensor([[1.0, -1.0]]).double(), (2,), 0)))
    assert chain.absolute().exact
    assert oracles.matrix(chain.absolute().map).tolist() == [[0.0]]
    assert not chain.absolute(limit=0).exact


def test_maps_made_on_the_way_follow_their_argument():
    part = MAPS["conv then conv"]().to(torch.float32, torch.device("cpu")).absolute()
    assert isinstance(part.map, SparseMatrix)
    x = whole(2, 1, 5, 5)
    assert part.map.apply(x.float()).dtype == torch.float32
    assert part.map.apply(x).dtype == torch.float64


def test_composed_leaves_out_what_does_nothing():
    first, second = _dense(3, 2), _dense(2, 3)
    assert composed(Identity((2,)), first) is first
    assert composed(Identity((2,)), Reshape((2,), (2,))).in_shape == (2,)
    nested = composed(first, composed(second, first))
    assert isinstance(nested, Composed)
    assert nested.maps == (first, second, first)
    assert added([first]) is first
    assert added([first, added([first, first])]).maps == (first,) * 3


def test_a_sum_without_shared_values_is_no_diagram():
    first, left, right = _dense(3, 2), _dense(3, 3, 1), _dense(3, 2, 2)
    arrows = [Arrow(0, 1, first), Arrow(1, 2, left), Arrow(0, 2, right)]
    found = diagram(arrows)
    assert isinstance(found, Added)
    assert torch.equal(oracles.matrix(found), oracles.matrix(Diagram(tuple(arrows))))


def test_many_paths_cost_what_their_maps_cost():
    arrows = []
    for i in range(40):
        arrows += [Arrow(i, i + 1, Identity((1,))), Arrow(i, i + 1, Identity((1,)))]
    found = diagram(arrows)
    assert found.apply(torch.ones(1, 1).double()).item() == 2.0**40
    assert found.adjoint(torch.ones(1, 1).double()).item() == 2.0**40
    assert found.to_dense().item() == 2.0**40
    assert found.fans() == (1, 1)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InvalidArgumentError, match=r"gives \(3,\).*reads \(2,\)"):
        Composed((_dense(3, 2), _dense(3, 2)))
    with pytest.raises(InvalidArgumentError, match="must be one"):
        Added((_dense(3, 2), _dense(2, 3)))
    with pytest.raises(InvalidArgumentError, match="Transpose"):
        SparseMatrix(csr_array((2, 3)), (2,), (3,))


def test_a_product_stops_while_it_is_made():
    spread = SumOver((200, 200), (0,))
    wide = Composed((spread, AlongAxis(torch.ones(200, 1).double(), (1, 200), 0)))
    with pytest.raises(MemoryLimitError) as refusal:
        wide.to_sparse(limit=1 << 20)
    assert refusal.value.limit == 1 << 20


def test_products_in_chunks_are_products(monkeypatch):
    monkeypatch.setattr("relulens.graph.maps.sparse_product._CHUNK", 50)
    left, right = (
        csr_array(random_array((30, 30), density=0.2, rng=seed)) for seed in (1, 2)
    )
    found = product(left, right, 30, 1 << 30)
    assert abs(found - left @ right).max() < 1e-15
    assert product(csr_array((0, 3)), csr_array((3, 2)), 2, 0).shape == (0, 2)


def test_duplicates_of_a_sparse_matrix_are_summed():
    matrix = csr_array(([1.0, -1.0], [0, 0], [0, 2]), shape=(1, 1))
    map_ = SparseMatrix(matrix, (1,), (1,))
    assert oracles.matrix(map_.absolute().map).tolist() == [[0.0]]
    assert map_.rows_single
