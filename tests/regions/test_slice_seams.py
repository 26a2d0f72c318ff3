"""Edges on the two sides of seams between parts of a slice."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relulens as rl
from relulens.regions.slice_division import Division
from relulens.regions.slice_seams import _facing, _matched, _Open
from relulens.regions.slice_verification import verified
from relulens.regions.slice_walk import Walk

SQUARE = [[-4, -4], [4, -4], [4, 4], [-4, 4]]


def rows_of(seams, generator):
    """Return the rows of seams, shuffled: each has ends, and edges left and right."""
    seam, side, places = [], [], []
    for number, (start, stop, sides) in enumerate(seams):
        for which, edges in enumerate(sides):
            for low, high in edges:
                seam.append(number)
                side.append(which)
                places.append([
                    start + low * (stop - start),
                    start + high * (stop - start),
                ])
    order = generator.permutation(len(seam))
    every = np.arange(len(seam))
    return _Open(
        edge=every,
        seam=np.array(seam)[order],
        ends=np.stack([every, every], 1),
        places=np.array(places).reshape(-1, 2, 2)[order],
        cell=every,
        side=np.array(side)[order],
    )


def paired(rows):
    """Return what _matched pairs as places, and the count of what it does not."""
    left, right, apart = _matched(rows)
    assert (rows.side[left] == 0).all()
    assert (rows.side[right] == 1).all()
    assert np.array_equal(rows.seam[left], rows.seam[right])
    np.testing.assert_array_equal(rows.places[left], rows.places[right])
    found = [(rows.seam[i], *rows.places[i].ravel()) for i in left]
    assert len(found) == len(set(found))
    return sorted(found), apart


def subdivided(generator, count):
    marks = np.sort(generator.choice(np.arange(1, 64), count - 1, replace=False)) / 64
    marks = np.concatenate([[0.0], marks, [1.0]])
    return list(pairwise(marks))


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 6), st.booleans())
def test_finished_edges_are_paired_whichever_way_seams_run(seed, seams, count, whole):
    generator = np.random.default_rng(seed)
    asked, wanted = [], []
    for number in range(seams):
        start = generator.integers(-8, 9, 2).astype(float)
        step = generator.integers(-8, 9, 2).astype(float)
        stop = start + (step if step.any() else np.array([-1.0, 0.0]))
        edges = subdivided(generator, count)
        keep = [generator.random(count) < (2 if whole else 0.6) for _ in range(2)]
        sides = [[e for e, k in zip(edges, kept, strict=True) if k] for kept in keep]
        asked.append((start, stop, sides))
        wanted += [
            (number, *(start + low * (stop - start)), *(start + high * (stop - start)))
            for low, high in edges
            if (low, high) in sides[0] and (low, high) in sides[1]
        ]
    found, apart = paired(rows_of(asked, generator))
    assert found == sorted(wanted)
    assert apart == 0


def test_other_halves_of_a_seam_are_not_paired():
    start, stop = np.array([1.0, 0.0]), np.array([-1.0, 0.0])
    sides = [[(0.0, 0.5)], [(0.5, 1.0)]]
    rows = rows_of([(start, stop, sides)], np.random.default_rng(0))
    assert paired(rows) == ([], 0)


@pytest.mark.parametrize("stop", [(2.0, 0.0), (-2.0, 0.0), (0.0, -2.0), (-1.0, 3.0)])
def test_a_side_that_is_cut_otherwise_is_counted(stop):
    sides = [
        [(0.0, 0.25), (0.25, 1.0)],
        [(0.0, 0.25), (0.25, 0.5), (0.5, 1.0)],
    ]
    rows = rows_of([(np.zeros(2), np.array(stop), sides)], np.random.default_rng(0))
    left, _, apart = _matched(rows)
    assert apart > 0
    assert len(left) <= 2


def test_edges_that_face_each_other_are_found_along_the_seam():
    # From right to left: along the seam, not along the axis.
    ends = np.array([3.0, 2.0, 1.5, 0.0])
    edge = np.stack([ends[:-1], ends[1:]], 1)
    places = np.stack([edge, np.zeros_like(edge)], 2)
    both = np.concatenate([places, places[1:]])
    left, right, apart = _facing(both, np.arange(3), np.arange(3, 5))
    assert (left.tolist(), right.tolist(), apart) == ([1, 2], [3, 4], 0)


@pytest.mark.parametrize(
    ("one", "two", "pairs", "apart"),
    [
        ([(0.0, 0.25), (0.25, 1.0)], [(0.0, 1.0)], [(1, 0)], 1),
        ([(0.0, 0.25)], [(0.0, 1.0), (1.0, 2.0)], [], 1),
        ([(0.0, 1.0), (1.0, 2.0)], [(1.0, 2.0), (2.0, 3.0), (3.0, 4.0)], [(1, 0)], 0),
    ],
)
def test_an_edge_faces_one_other_at_most(one, two, pairs, apart):
    along = np.array([1.0, -2.0])
    places = np.array([[low * along, high * along] for low, high in one + two])
    rows = np.arange(len(places))
    left, right, other = _facing(places, rows[: len(one)], rows[len(one) :])
    found = [(i, j - len(one)) for i, j in zip(left, right, strict=True)]
    assert (found, other) == (pairs, apart)


def few_cells(walk, state, *place):
    """Divide into parts of four cells."""
    return Division(per=4, direct=True) if state.mesh.cells > 8 else None


def touching(partition):
    """Return pairs of patterns of cells with a common edge."""
    keys = [
        tuple(v for row in partition.pattern(i).codes.values() for v in row[0].tolist())
        for i in range(partition.count)
    ]
    sides = partition.edge_cells[(partition.edge_cells >= 0).all(1)].tolist()
    return {frozenset((keys[a], keys[b])) for a, b in sides}, set(keys)


@pytest.mark.parametrize("seed", range(6))
def test_parts_that_time_leaves_out_are_missed_and_nothing_else(seed, monkeypatch):
    generator = np.random.default_rng(seed)
    layers = [
        (generator.normal(size=(m, n)), generator.normal(size=m))
        for n, m in pairwise((2, 9, 8, 7, 1))
    ]
    network = rl.from_layers(layers)
    plane = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    whole = rl.slice_partition(network, plane, SQUARE)
    monkeypatch.setattr(Walk, "_division", few_cells)
    # Threads that are late leave parts out anywhere, not only at the end.
    calls = iter(range(10**6))
    monkeypatch.setattr(
        Walk, "_over", lambda walk: next(calls) > 9 and generator.random() < 0.1
    )
    found = rl.slice_partition(network, plane, SQUARE, budget=1e6)
    assert not found.complete
    assert 0 < found.count < whole.count
    assert found.certificate.unmatched_edges == 0
    assert verified(found, most=None).verdict == "yes"
    pairs, keys = touching(found)
    wanted = {pair for pair in touching(whole)[0] if pair <= keys}
    assert pairs == wanted
