"""Omnidirectionality against exact rationals, known laws, and hand-made cases."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from preimage.cone_oracle import leaves_a_direction
from scipy.sparse import csr_array

from relulens.errors import InvalidArgumentError, NotFiniteError
from relulens.graph.maps import AlongAxis
from relulens.preimage.omnidirectionality import omnidirectionality
from relulens.preimage.statements import statements

VERDICT = {True: "not", False: "omnidirectional"}


def random_matrix(generator: np.random.Generator) -> np.ndarray:
    """Return a small whole matrix, full of ties, duplicates and dependencies."""
    columns = int(generator.integers(1, 5))
    rows = int(generator.integers(1, 9))
    most = int(generator.choice([1, 1, 1, 2, 3]))
    return generator.integers(-most, most + 1, (rows, columns))


def test_whole_matrices_agree_with_exact_rays() -> None:
    generator = np.random.default_rng(7)
    for _ in range(2500):
        matrix = random_matrix(generator)
        none = np.zeros((0, matrix.shape[1]), dtype=np.int64)
        found = omnidirectionality(matrix)
        assert found.verdict == VERDICT[leaves_a_direction(none, matrix)], matrix
        assert found.certificate is not None
        assert found.certificate.verify(), matrix


@pytest.mark.parametrize(("p", "q"), [(30, 20), (40, 20), (50, 20), (24, 12)])
def test_wendel(p: int, q: int) -> None:
    """Gaussian rows span with probability 1 - 2^(1-p) sum_{j<q} C(p-1, j)."""
    generator = np.random.default_rng(p * q)
    trials = 300
    expected = 1 - sum(math.comb(p - 1, j) for j in range(q)) / 2 ** (p - 1)
    hits = sum(
        omnidirectionality(generator.standard_normal((p, q))).verdict
        == "omnidirectional"
        for _ in range(trials)
    )
    spread = 3 * math.sqrt(expected * (1 - expected) / trials)
    assert abs(hits / trials - expected) <= spread


@pytest.mark.parametrize(
    ("matrix", "verdict"),
    [
        ([[1, 0], [-1, 0], [0, 1]], "not"),
        ([[1, 0], [-1, 0], [0, 1], [0, -1]], "omnidirectional"),
        ([[1, 0], [0, 1], [-1, -1]], "omnidirectional"),
        ([[1, 0], [0, 1], [-1, -1], [0, 0]], "omnidirectional"),
        ([[1, 0], [0, 1], [-1, 0], [-1, 0]], "not"),
        ([[1, 2], [2, 4], [-1, -2], [-3, -6]], "not"),
        ([[0, 0]], "not"),
        ([[2], [-1e-9]], "omnidirectional"),
        ([[1, 1e-12], [-1, 0], [0, -1]], "omnidirectional"),
        ([[1, -1e-12], [-1, 0], [0, -1]], "not"),
        ([[1e9, 0], [-1e-9, 0], [0, 1e6], [0, -1e-6]], "omnidirectional"),
    ],
)
def test_by_hand(matrix: list[list[float]], verdict: str) -> None:
    found = omnidirectionality(matrix)
    assert found.verdict == verdict
    assert found.certificate is not None
    assert found.certificate.verify()


def test_simplex_rows_span_and_miss_one() -> None:
    for n in (2, 5, 9):
        rows = np.concatenate([np.eye(n), -np.ones((1, n))])
        assert omnidirectionality(rows).verdict == "omnidirectional"
        assert omnidirectionality(rows[:-1]).verdict == "not"


def test_shifted_rows_cross_over_where_gordon_says() -> None:
    """Rows xi - 1.5 u with p = 600 span up to about q = 78 (p / q = 7.7)."""
    generator = np.random.default_rng(0)
    verdicts = []
    for q in (66, 92):
        shift = np.zeros(q)
        shift[0] = 1.5
        rows = generator.standard_normal((600, q)) - shift
        found = omnidirectionality(rows)
        assert found.certificate is not None
        assert found.certificate.verify()
        verdicts.append(found.verdict)
    assert verdicts == ["omnidirectional", "not"]


@given(st.integers(0, 10_000))
def test_invariances(seed: int) -> None:
    """Positive row scales, invertible column maps and duplicates change nothing."""
    generator = np.random.default_rng(seed)
    matrix = generator.integers(-2, 3, (7, 3)).astype(float)
    verdict = omnidirectionality(matrix).verdict
    scales = 2.0 ** generator.integers(-6, 7, 7)
    assert omnidirectionality(matrix * scales[:, None]).verdict == verdict
    turn = np.array([[1.0, 1, 0], [0, 1, 1], [0, 0, 1]])
    assert omnidirectionality(matrix @ turn).verdict == verdict
    assert omnidirectionality(np.repeat(matrix, 2, axis=0)).verdict == verdict


def test_margin_falls_towards_the_threshold() -> None:
    margins = []
    for tilt in (0.5, 0.1, 0.01):
        rows = [[1.0, 0.0], [-1.0, tilt], [0.0, -1.0]]
        margin = omnidirectionality(rows).margin
        assert margin is not None
        margins.append(margin)
    assert all(a > b for a, b in pairwise(margins))


def test_for_a_point_only_tight_rows_count() -> None:
    rows = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    bias = np.array([-1.0, 1.0, -2.0, 2.0])
    found = omnidirectionality(rows, point=[1.0, 2.0], bias=bias)
    assert found.verdict == "omnidirectional"
    looser = omnidirectionality(rows, point=[1.0, 2.0], bias=bias - [0, 1, 0, 0])
    assert looser.verdict == "not"
    assert looser.rows.tolist() == [0, 2, 3]


def test_sparse_matrices() -> None:
    eye = np.eye(40)
    rows = np.concatenate([eye, -eye])
    assert omnidirectionality(csr_array(rows)).verdict == "omnidirectional"
    assert omnidirectionality(csr_array(rows[:-1])).verdict == "not"


def test_the_equivalent_statements_hold_together() -> None:
    generator = np.random.default_rng(9)
    for _ in range(150):
        matrix = random_matrix(generator)
        none = np.zeros((0, matrix.shape[1]), dtype=np.int64)
        truth = not leaves_a_direction(none, matrix)
        found = statements(matrix)
        names = ("kernel", "half_space", "hull", "span", "stiemke")
        assert [getattr(found, name) for name in names] == [truth] * 5


def test_refusals() -> None:
    with pytest.raises(InvalidArgumentError, match="n of at least 1"):
        omnidirectionality(np.zeros((3, 0)))
    with pytest.raises(NotFiniteError, match="1 of 2 entries"):
        omnidirectionality([[1.0, math.nan]])
    with pytest.raises(InvalidArgumentError, match="1 of point and bias"):
        omnidirectionality([[1.0]], point=[0.0])
    with pytest.raises(InvalidArgumentError, match="positive there"):
        omnidirectionality([[1.0]], point=[1.0], bias=[0.0])
    for point, bias in (([math.nan], [0.0]), ([0.0], [math.inf])):
        with pytest.raises(NotFiniteError, match="1 entries of point and 1 of bias"):
            omnidirectionality([[1.0]], point=point, bias=bias)
    for wrong in ("a", [["a"]], [[1.0], [1.0, 2.0]], None):
        with pytest.raises(InvalidArgumentError, match="cannot use the matrix"):
            omnidirectionality(wrong)
    with pytest.raises(InvalidArgumentError, match="cannot use point"):
        omnidirectionality([[1.0]], point="a", bias=[0.0])


def test_a_map_is_its_matrix() -> None:
    """A LinearMap is taken as the matrix that it stands for."""
    rows = np.array([[1.0, 0], [0, 1], [-1, -1]])
    for kept, verdict in ((rows, "omnidirectional"), (rows[:2], "not")):
        map_ = AlongAxis(torch.from_numpy(kept), (2,), 0)
        assert omnidirectionality(map_).verdict == verdict
