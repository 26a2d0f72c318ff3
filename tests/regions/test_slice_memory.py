"""Bytes that slices take, finished and while their parts are put together."""

import dataclasses
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import relulens as rl
from relulens.graph.network import Network
from relulens.graph.polyhedral import Polyhedral
from relulens.regions import slice_result, slice_walk
from relulens.regions.array_blocks import ArrayBlocks
from relulens.regions.slice_division import Division
from relulens.regions.slice_seams import joined
from relulens.regions.slice_walk import Walk

AXES = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])


def some_cells(walk, state, *place):
    """Divide into parts of five hundred cells."""
    return Division(per=500, direct=True) if state.mesh.cells > 1200 else None


def dense(widths, half):
    """Return a random network and a square."""
    generator = np.random.default_rng(0)
    layers = [
        (generator.normal(size=(m, n)) * (2 / n) ** 0.5, generator.normal(size=m) / 2)
        for n, m in pairwise(widths)
    ]
    square = [[-half, -half], [half, -half], [half, half], [-half, half]]
    return rl.from_layers(layers), square


def arrays(value, seen):
    """Give all arrays that a result holds, each once, without the network."""
    if id(value) in seen or isinstance(value, Network | Polyhedral | rl.Plane):
        return
    seen[id(value)] = value
    if isinstance(value, torch.Tensor):
        yield value.numpy()
    elif isinstance(value, np.ndarray):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from arrays(getattr(value, field.name), seen)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from arrays(entry, seen)


def held(value):
    """Return the bytes of all arrays of a result."""
    return sum(array.nbytes for array in arrays(value, {}))


@pytest.mark.parametrize("parts", [False, True])
def test_a_cell_of_a_wide_network_takes_few_bytes(parts, monkeypatch):
    network, square = dense((2, 300, 300, 1), 0.6)
    division = some_cells if parts else lambda *_: None
    monkeypatch.setattr(Walk, "_division", division)
    found = rl.slice_partition(network, AXES, square)
    assert found.count > 10_000
    assert (len(found.codes.branches) > 1) == parts
    # Two cells a vertex and a half, four corners each; and at most 600 bits of codes,
    # of which most are the same on many cells.
    graph = held(dataclasses.replace(found, codes=None))
    assert graph < 112 * found.count
    assert held(found.codes) < 50 * found.count
    assert held(found) == graph + held(found.codes)


def test_winners_of_maxima_take_a_bit_for_each_of_two(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(48, 3),
    ).double()
    images = torch.rand((3, 1, 10, 10), generator=generator).double()
    network = rl.from_torch(module, images)
    monkeypatch.setattr(Walk, "_division", some_cells)
    triangle = [[-1, -1], [3, -1], [-1, 3]]
    found = rl.slice_partition(network, rl.Plane.through(*images), triangle)
    assert found.count > 2000
    # 48 groups of up to four entries.
    assert held(found.codes) < 20 * found.count


def test_parts_are_put_together_without_more_copies(monkeypatch):
    """Parts and their union are there at once; they are all that is large."""
    kept = []

    def watched(parts):
        own = sum(held(part) for part in parts)
        tracemalloc.start()
        graph, unmatched = joined(parts)
        after, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert parts == []
        kept.append((own, after, peak, held(graph)))
        return graph, unmatched

    monkeypatch.setattr(slice_result, "joined", watched)
    monkeypatch.setattr(Walk, "_division", some_cells)
    network, square = dense((2, 300, 300, 1), 0.6)
    found = rl.slice_partition(network, AXES, square)
    ((own, after, peak, whole),) = kept
    assert len(found.codes.branches) > 10
    assert whole < own
    # What is traced starts at the parts; untouched room counts as well.
    assert after < 1.05 * whole
    assert peak < 1.35 * whole


@given(st.lists(st.integers(0, 300), max_size=20), st.sampled_from([0, 1000, 33 << 20]))
def test_arrays_in_blocks_are_copies_beside_each_other(sizes, size):
    blocks = ArrayBlocks(size)
    given_ = [np.arange(2 * n).reshape(n, 2) + n for n in sizes]
    copies = [blocks.kept(array, np.int32) for array in given_]
    for array, copy in zip(given_, copies, strict=True):
        assert copy.dtype == np.int32
        assert np.array_equal(array, copy)
        assert not np.shares_memory(array, copy)
    for copy in copies:
        copy += 1
    assert all(
        np.array_equal(array + 1, copy)
        for array, copy in zip(given_, copies, strict=True)
    )


def test_blocks_hold_several_arrays_unless_each_is_on_its_own():
    together, apart = ArrayBlocks(1000), ArrayBlocks(0)
    first, second = (together.kept(np.ones(5)) for _ in range(2))
    assert first.base is second.base
    assert together.kept(np.ones(200)).base is not first.base
    one, two = (apart.kept(np.ones(5)) for _ in range(2))
    assert one.base is not two.base
    assert one.base.nbytes == one.nbytes


def test_a_divided_state_is_forgotten_when_its_parts_are_taken(monkeypatch):
    states, left = [], []
    finish = slice_walk.finished

    def watched(walk, state, *place):
        if state.mesh.cells <= 300:
            return None
        states.append(state)
        return Division(per=200, direct=True)

    def finished(state, storage):
        left.append(sum(len(s.mesh.places) > 0 for s in states))
        return finish(state, storage)

    monkeypatch.setattr(Walk, "_division", watched)
    monkeypatch.setattr(slice_walk, "finished", finished)
    network, square = dense((2, 300, 300, 300, 1), 0.15)
    found = rl.slice_partition(network, AXES, square)
    assert found.certificate.euler == 1
    assert len(states) > 2
    # Those that the part at hand was taken from, and none that are done.
    assert max(left) <= 3
    assert left[-1] == 0
    assert all(len(state.values) == 0 for state in states)
