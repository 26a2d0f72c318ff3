"""Maxima over groups: values, winners, ties, refusals."""

from itertools import product

import oracles
import pytest
import torch
from networks import whole, windows

from relulens.errors import InvalidArgumentError
from relulens.graph.groups import Groups, Ragged
from relulens.graph.maps.windows import Windows

_LISTS = Ragged(torch.tensor([3, 1, 0, 2, 4, 4]), torch.tensor([0, 2, 3, 6]))
GROUPS = {
    "pool": Groups.of_windows((2, 6, 6), windows((2, 2), 2)),
    "overlapping": Groups.of_windows((2, 7, 7), windows((3, 3), 2, 1)),
    "ceil": Groups.of_windows((1, 6, 6), windows((3, 3), 2, 1, 1, True)),
    "dilated": Groups.of_windows((1, 7, 7), windows((2, 2), 1, 1, 2)),
    "uneven": Groups.of_windows(
        (1, 4, 5), Windows((2, 3), (2, 1), ((1, 0), (0, 2)), (1, 1))
    ),
    "much padding": Groups.of_windows((1, 5), windows((3,), 1, 2)),
    "1d": Groups.of_windows((2, 9), windows((3,), 2, 1)),
    "3d": Groups.of_windows((2, 4, 4, 4), windows((2, 2, 2), 2)),
    "axis": Groups.along((2, 3, 4), 1),
    "last axis": Groups.along((3, 2), 1),
    "first axis": Groups.along((2, 5), 0),
    "lists": Groups((5,), (3,), lists=_LISTS),
}


@pytest.fixture(params=GROUPS)
def groups(request):
    return GROUPS[request.param]


def _first_largest(groups, z):
    """Return the winners by a loop: the first largest entry of every list."""
    flat = z.flatten(1)
    lists = list(oracles.group_lists(groups))
    rows = [[max(g, key=lambda i, row=row: row[i]) for g in lists] for row in flat]
    return torch.tensor(rows).reshape(z.shape[0], *groups.out_shape)


def test_values_and_winners(groups):
    # Few values, so that nearly every window has ties.
    for most in (0, 1, 50):
        z = whole(3, *groups.in_shape, seed=most, most=most)
        values, winners = groups.largest(z)
        assert torch.equal(values, oracles.grouped(groups, z))
        assert torch.equal(winners, _first_largest(groups, z))
        assert winners.dtype == torch.int64


def test_the_first_wins_in_any_memory_order_and_type(groups):
    z = whole(2, *groups.in_shape, seed=1, most=1)
    wanted = groups.largest(z)[1]
    orders = [z.transpose(1, -1).contiguous().transpose(1, -1), z.float()]
    if z.ndim == 4:
        orders.append(z.contiguous(memory_format=torch.channels_last))
        orders.append(z.float().contiguous(memory_format=torch.channels_last))
    if z.ndim == 5:
        orders.append(z.contiguous(memory_format=torch.channels_last_3d))
    for other in orders:
        assert torch.equal(groups.largest(other)[1], wanted)


def test_ragged_lists_are_the_groups(groups):
    ragged = groups.ragged
    found = [
        ragged.index[a:b].tolist()
        for a, b in zip(ragged.pointers[:-1], ragged.pointers[1:], strict=True)
    ]
    assert found == list(oracles.group_lists(groups))
    assert groups.entries() >= sum(map(len, found))


def test_no_inputs(groups):
    values, winners = groups.largest(torch.zeros(0, *groups.in_shape).double())
    assert values.shape == winners.shape == (0, *groups.out_shape)


def test_many_ties_in_wide_pools():
    # Vectorised kernels see 8 and more channels at once.
    for channels, layout in product((3, 8, 33), (False, True)):
        groups = Groups.of_windows((channels, 9, 9), windows((3, 3), 2, 1))
        z = whole(2, channels, 9, 9, seed=channels, most=1)
        if layout:
            z = z.contiguous(memory_format=torch.channels_last)
        assert torch.equal(groups.largest(z)[1], _first_largest(groups, z))


def test_empty_groups_are_refused():
    with pytest.raises(InvalidArgumentError, match="2 of its 2 groups"):
        Groups.along((0, 2), 0)
    gone = Ragged(torch.tensor([0, 1]), torch.tensor([0, 1, 1, 2]))
    with pytest.raises(InvalidArgumentError, match="1 of its 3 groups"):
        Groups((2,), (3,), lists=gone)
    with pytest.raises(InvalidArgumentError, match="cover padding only"):
        Groups.of_windows((1, 4), windows((2,), 1, 1, 5))
