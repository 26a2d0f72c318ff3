"""Slices cut by several threads: the same to the last bit, and nothing left behind."""

import threading
import time
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NETWORKS

import relulens as rl
from relulens.errors import InvalidArgumentError
from relulens.regions import slice_walk
from relulens.regions.slice import slice_cells
from relulens.regions.slice_division import Division
from relulens.regions.slice_walk import Walk
from relulens.regions.slice_workers import Outcome, by_threads, in_turn

SQUARE = [[-4, -4], [4, -4], [4, 4], [-4, 4]]
AXES = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
FIELDS = (
    "vertices",
    "offsets",
    "indices",
    "cell_edges",
    "edges",
    "edge_cells",
    "edge_layer",
    "edge_unit",
    "areas",
)


def few_cells(walk, state, place, share):
    """Divide into parts of four cells, some with a basis and some with values."""
    if state.mesh.cells <= 8:
        return None
    return Division(per=4, direct=bool(state.mesh.cells % 2))


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(Walk, "_division", few_cells)
    monkeypatch.setattr(slice_walk, "cut_at_once", lambda *_: None)


def integers(sizes, seed, bias=True):
    generator = np.random.default_rng(seed)
    return rl.from_layers([
        (
            generator.integers(-3, 4, (m, n)).astype(float),
            generator.integers(-3, 4, m).astype(float) if bias else None,
        )
        for n, m in pairwise(sizes)
    ])


def slice_of(name):
    network, _ = NETWORKS[name]()
    size, shape = network.input_size, network.input_shape
    generator = torch.Generator().manual_seed(1)
    origin = torch.randint(-2, 3, (size,), generator=generator).double()
    directions = torch.randint(-2, 3, (2, size), generator=generator).double()
    plane = rl.Plane(origin.reshape(shape), directions.reshape(2, *shape))
    return network, plane


def assert_same(one, other):
    for field in FIELDS:
        assert torch.equal(getattr(one, field), getattr(other, field)), field
    assert one.counts == other.counts
    assert one.complete == other.complete
    assert one.finished_area == other.finished_area
    assert repr(one.certificate) == repr(other.certificate)
    for cell in range(0, one.count, max(one.count // 20, 1)):
        patterns = one.pattern(cell), other.pattern(cell)
        assert all(torch.equal(patterns[0][k], patterns[1][k]) for k in patterns[0])


def workers():
    return [t for t in threading.enumerate() if t.name.startswith("relulens")]


@pytest.mark.parametrize("name", ["projected_residual", "max_pool", "deep"])
def test_threads_change_nothing(name, small_parts):
    network, plane = slice_of(name)
    square = [[0, 0], [1, 0], [1, 1], [0, 1]] if name == "max_pool" else SQUARE
    cut = partial(rl.slice_partition, network, plane, square)
    whole = cut()
    assert whole.count > 50
    for threads in (2, 3, 5):
        assert_same(whole, cut(threads=threads))
    some = cut(cells=whole.count // 3)
    assert not some.complete
    assert_same(some, cut(cells=whole.count // 3, threads=3))


def test_threads_decide_the_same_signs_exactly(small_parts):
    network = integers((2, 16, 12, 8, 1), 4, bias=False)
    whole = rl.slice_partition(network, AXES, SQUARE)
    assert whole.certificate.exact_signs > 100
    for _ in range(3):
        assert_same(whole, rl.slice_partition(network, AXES, SQUARE, threads=4))


def test_parts_come_in_the_same_order(small_parts):
    network = integers((2, 9, 8, 1), 2)
    parts = list(slice_cells(network, AXES, SQUARE))
    assert len(parts) > 8
    shared = slice_cells(network, AXES, SQUARE, threads=3)
    for one, other in zip(parts, shared, strict=True):
        assert_same(one, other)


def test_what_is_begun_and_left_stops(small_parts):
    network = integers((2, 9, 8, 1), 2)
    threads = torch.get_num_threads()
    parts = slice_cells(network, AXES, SQUARE, threads=3)
    assert next(parts).count > 0
    assert torch.is_grad_enabled()
    assert torch.get_num_threads() == threads
    assert workers()
    parts.close()
    assert not workers()


def test_errors_and_interrupts_stop_the_threads(small_parts, monkeypatch):
    network = integers((2, 9, 8, 1), 2)

    def interrupt(done, of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rl.slice_partition(network, AXES, SQUARE, threads=2, progress=interrupt)
    assert not workers()

    stage, calls = slice_walk.two_slope_stage, []

    def fail(*arguments, **options):
        calls.append(1)
        if len(calls) > 5:
            raise ZeroDivisionError
        return stage(*arguments, **options)

    monkeypatch.setattr(slice_walk, "two_slope_stage", fail)
    with pytest.raises(ZeroDivisionError):
        rl.slice_partition(network, AXES, SQUARE, threads=2)
    assert not workers()
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_threads_are_a_whole_number(threads):
    network = integers((2, 3, 1), 0)
    with pytest.raises(InvalidArgumentError, match="whole number of at least 1"):
        rl.slice_partition(network, AXES, SQUARE, threads=threads)
    with pytest.raises(InvalidArgumentError, match="whole number of at least 1"):
        next(slice_cells(network, AXES, SQUARE, threads=threads))


TREES = st.recursive(
    st.integers(0, 3), lambda tree: st.lists(tree, max_size=4), max_leaves=40
)


def work(tree, running=None):
    """Return a task that finds its leaf or is divided into its branches."""

    def task():
        if running is not None:
            running.append(1)
        time.sleep(0.0002 * (tree if isinstance(tree, int) else 1))
        if running is not None:
            running.append(-1)
        if isinstance(tree, int):
            return Outcome(found=tree)
        return Outcome(found=[], parts=(work(branch, running) for branch in tree))

    return task


@settings(max_examples=30)
@given(TREES, st.integers(1, 4))
def test_work_is_given_in_order(tree, threads):
    running: list[int] = []
    stop = threading.Event()
    found = list(by_threads(work(tree, running), threads, stop))
    assert found == list(in_turn(work(tree)))
    assert max(np.cumsum(running)) <= threads
    assert stop.is_set()


def test_few_results_wait_for_a_slow_one():
    finished: list[int] = []

    def task(number):
        if number == 0:
            time.sleep(0.1)
        finished.append(number)
        return Outcome(found=number)

    def first():
        return Outcome(found=-1, parts=(partial(task, i) for i in range(500)))

    given = by_threads(first, 2, threading.Event())
    assert next(given) == -1
    assert next(given) == 0
    assert len(finished) < 30
    assert list(given) == list(range(1, 500))


def test_an_error_is_raised_in_its_turn():
    def task(number):
        if number == 3:
            raise ZeroDivisionError
        time.sleep(0.002)
        return Outcome(found=number)

    def first():
        return Outcome(found=-1, parts=(partial(task, i) for i in range(100)))

    given = by_threads(first, 3, threading.Event())
    assert [next(given) for _ in range(4)] == [-1, 0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        next(given)
