"""Rows in l1 balls: an oracle by bisection, laws, gradients, exact feasibility."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from relulens.errors import InvalidArgumentError, NotFiniteError
from relulens.training import project_rows


def by_bisection(row, weights, radius):
    """Soft thresholding with the multiplier found by halving: no sorting."""
    low, high = 0.0, 1e6
    for _ in range(200):
        tau = (low + high) / 2
        size = (row.abs() - tau * weights).clamp(min=0) @ weights
        low, high = (tau, high) if size > radius else (low, tau)
    return torch.sign(row) * (row.abs() - high * weights).clamp(min=0)


def drawn(seed, rows=4, columns=7):
    source = torch.Generator().manual_seed(seed)
    matrix = 2 * torch.randn(rows, columns, generator=source, dtype=torch.float64)
    weights = torch.rand(columns, generator=source, dtype=torch.float64) + 0.1
    radii = 3 * torch.rand(rows, generator=source, dtype=torch.float64) + 0.1
    return matrix, weights, radii


@given(st.integers(0, 10_000))
def test_bisection_finds_the_same(seed):
    matrix, weights, radii = drawn(seed)
    found = project_rows(matrix, radii, weights=weights)
    for i in range(len(matrix)):
        wanted = matrix[i]
        if float(wanted.abs() @ weights) > radii[i]:
            wanted = by_bisection(wanted, weights, radii[i])
        torch.testing.assert_close(found[i], wanted, atol=1e-12, rtol=0)


@given(st.integers(0, 10_000), st.booleans())
def test_rows_are_inside_in_rational_arithmetic(seed, single):
    matrix, weights, radii = drawn(seed)
    matrix = matrix.float() if single else matrix
    found = project_rows(matrix, radii, weights=weights)
    assert found.dtype == matrix.dtype
    for row, radius in zip(found.tolist(), radii.tolist(), strict=True):
        total = sum(
            abs(Fraction(a)) * Fraction(w)
            for a, w in zip(row, weights.tolist(), strict=True)
        )
        assert total <= Fraction(radius) * (1 + Fraction(1, 10**28))


@given(st.integers(0, 10_000))
def test_projecting_again_changes_nothing_and_no_distance_grows(seed):
    matrix, weights, radii = drawn(seed)
    other = drawn(seed + 1)[0]
    first = project_rows(matrix, radii, weights=weights)
    assert torch.equal(project_rows(first, radii, weights=weights), first)
    second = project_rows(other, radii, weights=weights)
    apart = (first - second).norm(dim=1)
    assert bool((apart <= (matrix - other).norm(dim=1) * (1 + 1e-12)).all())


def test_ties_and_zeros_by_hand():
    matrix = torch.tensor([[2.0, -2.0, 0.0], [0.0, 0.0, 0.0], [0.5, 0.25, -0.25]])
    wanted = [[0.5, -0.5, 0.0], [0.0, 0.0, 0.0], [0.5, 0.25, -0.25]]
    assert project_rows(matrix, 1.0).tolist() == wanted
    assert project_rows(torch.zeros(0, 3), 1.0).shape == (0, 3)
    assert project_rows(torch.zeros(3, 0), 1.0).shape == (3, 0)


def test_a_column_without_weight_stays():
    weights = torch.tensor([1.0, 0.0])
    found = project_rows(torch.tensor([[3.0, 9.0]]), 1.0, weights=weights)
    assert found.tolist() == [[1.0, 9.0]]


def test_gradients_by_differences_at_active_balls():
    matrix, weights, radii = drawn(3)
    weights[2] = 0.0
    matrix.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda m: project_rows(m, radii, weights=weights), (matrix,)
    )


def test_refusals():
    matrix = torch.ones(2, 2)
    with pytest.raises(InvalidArgumentError, match=r"least radius is 0\.0"):
        project_rows(matrix, torch.tensor([1.0, 0.0]))
    with pytest.raises(InvalidArgumentError, match=r"least weight -1\.0"):
        project_rows(matrix, 1.0, weights=torch.tensor([1.0, -1.0]))
    with pytest.raises(NotFiniteError, match="1 of 4"):
        project_rows(torch.tensor([[1.0, float("nan")], [0.0, 0.0]]), 1.0)
