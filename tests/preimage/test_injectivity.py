"""Injectivity of layers against exact cell enumeration in one and two dimensions."""

from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import relulens as rl
from relulens.errors import InvalidArgumentError, NotFiniteError
from relulens.preimage.injectivity import injectivity


def _injective_line(W: list[list[int]], b: list[int]) -> bool:
    """Decide one column exactly: some row is active between all breakpoints."""
    rows = [(w[0], shift) for w, shift in zip(W, b, strict=True) if w[0]]
    if not rows:
        return False
    ends = sorted({Fraction(-shift, w) for w, shift in rows})
    tries = [ends[0] - 1, ends[-1] + 1]
    tries += [(one + two) / 2 for one, two in pairwise(ends)]
    return all(any(w * x + shift > 0 for w, shift in rows) for x in tries)


def _injective_plane(W: list[list[int]], b: list[int]) -> bool:
    """Decide two columns exactly: every cell touches a vertex of the lines."""
    rows = [(*w, shift) for w, shift in zip(W, b, strict=True) if any(w)]
    corners = []
    for (a, c, e), (p, q, r) in combinations(rows, 2):
        if a * q - c * p:
            d = a * q - c * p
            corners.append((Fraction(c * r - e * q, d), Fraction(e * p - a * r, d)))
    lines = sorted(
        {v for a, c, _ in rows for v in ((-c, a), (c, -a))},
        key=lambda v: np.arctan2(v[1], v[0]),
    )
    sides = [
        (one[0] * 1000 + two[0] * 999, one[1] * 1000 + two[1] * 999)
        for one, two in zip(lines, lines[1:] + lines[:1], strict=True)
    ]
    for x, y in corners:
        for u, v in sides:
            if any(a * u + c * v == 0 for a, c, _ in rows):
                continue
            active = [
                (a, c)
                for a, c, e in rows
                if (a * x + c * y + e, a * u + c * v) > (0, 0)
            ]
            if not any(p[0] * q[1] != p[1] * q[0] for p, q in combinations(active, 2)):
                return False
    return bool(corners)


entries = st.integers(-3, 3)


@given(st.lists(st.tuples(entries, entries), min_size=1, max_size=6))
def test_one_column_against_breakpoints(rows: list[tuple[int, int]]) -> None:
    W, b = [[w] for w, _ in rows], [shift for _, shift in rows]
    found = injectivity(np.array(W, float), bias=np.array(b, float))
    assert found.verdict == ("injective" if _injective_line(W, b) else "not")


@given(st.lists(st.tuples(entries, entries, entries), min_size=2, max_size=8))
def test_two_columns_against_cells(rows: list[tuple[int, int, int]]) -> None:
    W, b = [list(row[:2]) for row in rows], [row[2] for row in rows]
    found = injectivity(np.array(W, float), bias=np.array(b, float), starts=1)
    assert found.verdict == ("injective" if _injective_plane(W, b) else "not")


def test_both_answers_occur_and_flats_decide_them() -> None:
    generator = np.random.default_rng(2)
    seen = set()
    for _ in range(60):
        W = generator.integers(-3, 4, (8, 2))
        b = generator.integers(-2, 3, 8)
        found = injectivity(W.astype(float), bias=b.astype(float), starts=0)
        truth = _injective_plane(W.tolist(), b.tolist())
        assert found.verdict == ("injective" if truth else "not")
        seen.add((found.method, found.verdict))
    assert {("flats", "injective"), ("flats", "not")} <= seen


def test_two_rows_a_coordinate_are_enough_and_fewer_are_not() -> None:
    generator = np.random.default_rng(1)
    B = generator.integers(-3, 4, (6, 6)) + 9.0 * np.eye(6)
    D = np.diag([1.0, 2, 3, 4, 5, 6])
    both = np.concatenate([B, -D @ B])
    found = injectivity(both)
    assert (found.verdict, found.method) == ("injective", "opposite rows")
    assert injectivity(both[:-1]).verdict == "not"
    both[-1, 0] += 2.0**-20
    assert injectivity(both).verdict == "not"
    for x in np.concatenate([np.eye(6), -np.eye(6)]):
        spanning = np.concatenate([B, -D @ B])
        assert np.linalg.matrix_rank(spanning[spanning @ x >= 0]) == 6


def test_rows_with_a_negative_bias_can_be_needed() -> None:
    assert injectivity([[1.0], [-1.0]], bias=[-1.0, 2.0]).verdict == "injective"
    assert injectivity([[-1.0]], bias=[2.0]).verdict == "not"


@given(st.integers(0, 1000))
def test_verdict_survives_scaling_and_a_change_of_basis(seed: int) -> None:
    generator = np.random.default_rng(seed)
    W = generator.integers(-3, 4, (9, 3)).astype(float)
    b = generator.integers(-2, 3, 9).astype(float)
    scale = 2.0 ** generator.integers(-2, 3, 9)
    turn = np.array([[1.0, 2, 0], [0, 1, -1], [0, 0, 2]])
    first = injectivity(W, bias=b)
    second = injectivity(scale[:, None] * W @ turn, bias=scale * b)
    assert first.verdict == second.verdict != "undecided"
    if first.verdict == "injective":
        more = np.concatenate([W, generator.integers(-3, 4, (2, 3))])
        assert injectivity(more, bias=np.append(b, [-1, 2])).verdict == "injective"


def test_not_comes_with_a_point_whose_active_units_do_not_span() -> None:
    generator = np.random.default_rng(4)
    W = generator.standard_normal((7, 4))
    found = injectivity(W)
    assert found.verdict == "not"
    assert found.point is not None
    active = np.flatnonzero(W @ found.point.numpy() >= 0)
    assert active.tolist() == found.active.tolist()
    assert np.linalg.matrix_rank(W[active]) < 4


def test_layers_of_a_network() -> None:
    W = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    network = rl.from_layers([(W, np.zeros(4)), (np.ones((1, 4)), None)])
    assert injectivity(network, layer=0).verdict == "injective"
    assert injectivity(network, layer="output").verdict == "not"
    half = rl.from_layers([(W[:3], np.zeros(3)), (np.ones((1, 3)), None)])
    assert injectivity(half, layer=0).verdict == "not"


def test_undecided_within_a_budget() -> None:
    W = np.random.default_rng(0).standard_normal((60, 6))
    found = injectivity(W, flats=10)
    assert found.verdict == "undecided"
    assert len(found.active) >= 6


def test_refusals() -> None:
    with pytest.raises(InvalidArgumentError, match="2 constant parts do not fit"):
        injectivity([[1.0]], bias=[1.0, 2.0])
    with pytest.raises(InvalidArgumentError, match="has none"):
        injectivity([[1.0]], layer=0)
    with pytest.raises(NotFiniteError, match="1 of 2 numbers"):
        injectivity([[1.0], [float("nan")]])


def test_operations_that_repeat_values() -> None:
    torch.manual_seed(0)
    first = torch.nn.Linear(2, 6, bias=False)

    class Absolute(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.abs()

    answers = {}
    for name, last in (
        ("symmetry", Absolute()),
        ("saturation", torch.nn.Hardtanh(0.0, 2.0)),
    ):
        module = torch.nn.Sequential(first, last).eval()
        network = rl.from_torch(module, torch.zeros(1, 2))
        found = answers[name] = injectivity(network, layer=0)
        assert (found.verdict, found.method) == ("not", name)
    point = answers["saturation"].point
    assert point is not None
    value = module(torch.stack([point, 1.0001 * point]).float())
    assert (value[0] == value[1]).all()
    pooled = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.MaxPool1d(2))
    found = injectivity(rl.from_torch(pooled.eval(), torch.zeros(1, 4)), layer=0)
    assert (found.verdict, found.method) == ("not", "counting")
