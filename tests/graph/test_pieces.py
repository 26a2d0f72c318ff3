"""Batches in pieces, and sums that are written over only where nothing else sees."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import NETWORKS, whole

from relulens.graph.pieces import (
    by_pieces,
    by_rows,
    pieces,
    row_ranges,
    rows_at_once,
    taken,
)
from relulens.graph.sharing import Sums, shares_memory


@given(st.integers(0, 12), st.integers(0, 12), st.integers(1, 30))
def test_pieces_cover_everything_once(points, copies, rows):
    seen = torch.zeros(points, copies)
    for piece in pieces(points, copies, rows):
        seen[piece.points, piece.copies] += 1
        size = seen[piece.points, piece.copies].numel()
        assert size <= max(rows, 1) or copies < rows
        assert size <= rows
    assert (seen == 1).all()


@given(st.integers(0, 20), st.integers(1, 8))
def test_ranges_cover_everything_once(count, rows):
    found = [
        i for part in row_ranges(count, rows) for i in range(part.start, part.stop)
    ]
    assert found == list(range(count))
    assert len(list(row_ranges(count, rows))) >= 1


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 100])
def test_walks_in_pieces_are_walks(rows):
    points, copies = 4, 3
    x = whole(points * copies, 2, seed=1)

    def walk(piece):
        part = taken(x, points, piece)
        return {7: 2 * part, 8: part.sum(1, keepdim=True)}

    found = by_pieces(points, copies, rows, walk)
    assert torch.equal(found[7], 2 * x)
    assert torch.equal(found[8], x.sum(1, keepdim=True))
    again = by_rows(x, rows, lambda part: {0: part + 1})
    assert torch.equal(again[0], x + 1)


def test_rows_fit_the_cache():
    network, x = NETWORKS["max_pool"]()
    everything = frozenset(range(len(network.nodes)))
    # The largest array is 2 * 6 * 6 numbers of 8 bytes.
    wanted = (2 << 20) * torch.get_num_threads() // (72 * 8)
    assert rows_at_once(network, everything, x) == wanted
    assert rows_at_once(network, frozenset(), x) >= 1
    assert rows_at_once(network, everything, x.to("meta")) > 1 << 30


def test_given_weights_are_never_written_over():
    given_ = torch.ones(2, 2)
    sums = Sums({3: given_})
    whole_, spare = sums.pop(3)
    assert whole_ is given_
    assert not spare
    sums.add([(1, given_), (2, given_)], given_, spare=False)
    sums.add([(1, torch.ones(2, 2))], torch.zeros(1), spare=True)
    assert given_.sum() == 4
    assert sums[1].sum() == 8
    assert sums[2] is given_


def test_one_array_for_two_nodes_is_shared():
    own = torch.ones(2, 2)
    sums = Sums({})
    sums.add([(1, own), (2, own)], own, spare=True)
    sums.add([(1, torch.ones(2, 2))], torch.zeros(1), spare=True)
    assert sums[1].sum() == 8
    assert sums[2].sum() == 4
    assert not sums.pop(2)[1]


def test_repeated_entries_are_not_written_over():
    sums = Sums({})
    sums.add([(1, torch.ones(1).expand(3))], torch.zeros(1), spare=True)
    sums.add([(1, torch.ones(3))], torch.zeros(1), spare=True)
    assert sums[1].tolist() == [2.0, 2.0, 2.0]
    assert 1 in sums
    assert 2 not in sums


def test_memory_is_shared_by_views():
    x = torch.ones(4)
    assert shares_memory(x, x[2:])
    assert not shares_memory(x, x.clone())
