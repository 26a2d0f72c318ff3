"""Rows from a teacher's states: optimal, feasible, with a gap that is a bound."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import nn

from relulens.errors import InvalidArgumentError, NotFiniteError, SolverError
from relulens.implicit.equilibrium import equilibrium
from relulens.implicit.wellposedness import wellposedness
from relulens.importers.layers import from_layers
from relulens.importers.torch_export import from_torch
from relulens.training import (
    L1,
    BerHu,
    Groups,
    fenchel_fit,
    fit_rows,
    pruned,
    state_driven,
    teacher_states,
)
from relulens.training.fenchel import divergence

LABELS = torch.tensor([0, 0, 1, 1, 2])
PENALTIES = {
    "l1": L1(0.1),
    "berhu": BerHu(0.2, 0.1),
    "groups": Groups(0.1, LABELS),
}


def data(seed, samples=30, columns=5, rows=3):
    source = torch.Generator().manual_seed(seed)
    G = torch.randn(samples, columns, generator=source, dtype=torch.float64)
    Z = G @ torch.randn(columns, rows, generator=source, dtype=torch.float64)
    noise = torch.randn(samples, rows, generator=source, dtype=torch.float64)
    return G, Z + 0.5 * noise


def penalty_by_hand(name, w):
    if name == "l1":
        return 0.1 * np.abs(w).sum()
    if name == "groups":
        a, b, c = w[:2], w[2:4], w[4:]
        norms = [np.linalg.norm(part) * len(part) ** 0.5 for part in (a, b, c)]
        return 0.1 * sum(norms)
    # min over t of ridge w^2/t + count t, by a fine grid and the two ends.
    t = np.linspace(1e-4, 1, 20_000)[:, None]
    return (0.2 * w**2 / t + 0.1 * t).min(0) @ (np.abs(w) > 0)


@pytest.mark.parametrize("name", PENALTIES)
def test_no_feasible_row_is_better(name):
    G, Z = data(1)
    weights = torch.tensor([1.0, 2.0, 0.5, 0.0, 0.0], dtype=torch.float64)
    found = fit_rows(G, Z, PENALTIES[name], radius=0.7, weights=weights)
    centred, wanted = (G - G.mean(0)).numpy(), (Z - Z.mean(0)).numpy()
    for i, row in enumerate(found.rows.numpy()):

        def value(w, i=i):
            off = centred @ w - wanted[:, i]
            return off @ off / 60 + penalty_by_hand(name, w)

        assert float(found.objective[i]) == pytest.approx(value(row), rel=1e-6)
        random = np.random.default_rng(i)
        for size in (1e-3, 1e-2, 0.1, 1.0):
            for _ in range(30):
                other = row + size * random.standard_normal(5)
                length = np.abs(other) @ weights.numpy()
                other[:3] *= min(1.0, 0.7 / max(length, 1e-12))
                assert value(other) >= value(row) - 1e-7


@given(st.integers(0, 1000))
@settings(max_examples=8)
def test_a_quadratic_program_of_scipy_finds_the_same(seed):
    G, Z = data(seed, rows=1)
    found = fit_rows(G, Z, L1(0.1), radius=0.8)
    centred, wanted = (G - G.mean(0)).numpy(), (Z - Z.mean(0)).numpy()[:, 0]

    def value(v):
        off = centred @ (v[:5] - v[5:]) - wanted
        slope = centred.T @ off / 30
        return off @ off / 60 + 0.1 * v.sum(), np.r_[slope, -slope] + 0.1

    done = minimize(
        value,
        np.full(10, 0.01),
        jac=True,
        bounds=[(0, None)] * 10,
        constraints={"type": "ineq", "fun": lambda v: 0.8 - v.sum()},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    assert float(found.objective[0]) == pytest.approx(done.fun, rel=1e-6)
    assert float(found.gap[0]) <= 1e-8 * max(1.0, done.fun)


@pytest.mark.parametrize("name", PENALTIES)
def test_the_gap_bounds_the_distance_to_the_optimum(name):
    G, Z = data(2)
    fine = fit_rows(G, Z, PENALTIES[name], radius=0.7, tolerance=1e-10)
    rough = fit_rows(G, Z, PENALTIES[name], radius=0.7, tolerance=0.05)
    assert bool((rough.objective - fine.objective <= rough.gap + 1e-12).all())
    assert bool((fine.rows.abs().sum(1) <= 0.7).all())


def test_a_lasso_by_hand():
    """With orthonormal columns and no ball the rows are soft thresholds."""
    G = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]).double()
    Z = G @ torch.tensor([[2.0, 0.5], [-1.0, 0.25]]).double() + 3
    found = fit_rows(G, Z, L1(0.5))
    wanted = torch.tensor([[1.5, -0.5], [0.0, 0.0]]).double()
    torch.testing.assert_close(found.rows, wanted, atol=1e-9, rtol=0)
    torch.testing.assert_close(found.offset, torch.tensor([3.0, 3.0]).double())
    # 1/2 (.25 + .25) + .5 * 2, and 1/2 (.25 + .0625).
    assert found.objective.tolist() == pytest.approx([1.25, 0.15625])


def teacher(kappa=0.9, samples=200):
    source = torch.Generator().manual_seed(5)

    def normal(*shape):
        return torch.randn(*shape, generator=source, dtype=torch.float64)

    network = from_layers([
        (normal(8, 4), normal(8)),
        (normal(6, 8), normal(6)),
        (normal(3, 6), normal(3)),
    ])
    x = normal(samples, 4)
    return network, x, teacher_states(network, x, kappa=kappa)


@pytest.mark.parametrize("rescale", [True, False])
def test_a_teacher_is_followed_and_the_balls_hold(rescale):
    network, x, states = teacher()
    gone = torch.relu(states.arguments)
    assert torch.equal(gone, states.states)
    found = state_driven(states, L1(1e-5), kappa=0.9, rescale=rescale)
    own = equilibrium(found.model, x)
    wanted = states.outputs
    error = (own.output - wanted).square().mean() / wanted.var()
    assert error < 1e-4
    A = torch.from_numpy(found.model.A.to_sparse().toarray()).abs()
    bound = 0.9 * found.vector * (1 + 1e-14)
    assert bool((A @ found.vector <= bound).all())
    proof = wellposedness(found.model)
    assert proof.verdict == "well-posed"
    assert found.zeros > 0.2
    assert network.state_size == found.model.n


def test_readout_rows_without_refit_are_penalised_too():
    _, _, states = teacher()
    found = state_driven(states, L1(1e-2), kappa=0.9, refit=None)
    assert found.readout.rows.shape == (3, 18)
    assert float(found.readout.gap.max()) < 1e-6


def test_pruned_weights_change_the_outputs_by_no_more_than_the_bound():
    _, x, states = teacher()
    model = state_driven(states, L1(1e-3), kappa=0.9).model
    for radius in (0.0, 0.05):
        found = pruned(model, x[:50], error=0.5, radius=radius)
        assert found.dropped > 0
        assert float(found.bound.max()) <= 0.5
        shifts = (2 * torch.rand(50, 4, dtype=torch.float64) - 1) * radius
        there = x[:50] + shifts
        before = equilibrium(model, there, error=1e-10).output
        after = equilibrium(found.model, there, error=1e-10).output
        assert bool(((before - after).abs() <= found.bound + 1e-9).all())
    nothing = pruned(model, x[:50], error=0.0)
    assert nothing.dropped == 0
    assert float(nothing.bound.max()) == 0


def test_a_divergence_is_zero_just_at_the_relu():
    z = torch.tensor([[-1.0, 2.0], [3.0, -4.0]]).double()
    assert divergence(z.clamp(min=0), z).tolist() == [0.0, 0.0]
    # x = 1: 1/2 (1 + 0) + 1 and 1/2 (1 + 9) - 3, x = 0: 0 and 1/2 4 - 0.
    state = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).double()
    assert divergence(state, z).tolist() == [(1.5 + 2.0) / 2, 1.0]


def test_blocks_fit_a_function_better_than_first_weights_do():
    source = torch.Generator().manual_seed(0)
    x = torch.randn(150, 3, generator=source, dtype=torch.float64)
    y = (x[:, :1] - x[:, 1:2]).abs()
    errors = []
    for rounds in (0, 60):
        found = fenchel_fit(x, y, states=8, rounds=rounds)
        errors.append(float((equilibrium(found.model, x).output - y).square().mean()))
        assert wellposedness(found.model).contraction < 0.96
    assert errors[1] < errors[0]


def test_refusals():
    G, Z = data(0)
    with pytest.raises(InvalidArgumentError, match=r"weight is 0\.0"):
        L1(0.0)
    with pytest.raises(InvalidArgumentError, match="count is -1"):
        BerHu(1.0, -1.0)
    with pytest.raises(InvalidArgumentError, match="30 samples of data and 29"):
        fit_rows(G, Z[1:], L1(0.1))
    with pytest.raises(NotFiniteError, match="1 of 90 numbers of the targets"):
        fit_rows(G, torch.where(Z[0, 0] == Z, torch.nan, Z), L1(0.1))
    with pytest.raises(SolverError, match="largest duality gap"):
        fit_rows(G, Z, BerHu(0.2, 0.1), radius=0.7, steps=25, tolerance=1e-15)
    module = nn.Sequential(nn.Linear(4, 2), nn.Tanh(), nn.Linear(2, 1)).double()
    curved = from_torch(module, torch.zeros(2, 4).double())
    states = teacher_states(curved, torch.randn(9, 4))
    with pytest.raises(InvalidArgumentError, match=r"cannot rescale.*tanh"):
        state_driven(states, L1(0.1))
    with pytest.raises(InvalidArgumentError, match="kappa is 1"):
        state_driven(states, L1(0.1), kappa=1.0)
    _, x, _ = teacher()
    with pytest.raises(InvalidArgumentError, match=r"error is -1"):
        pruned(state_driven(states, L1(0.1), rescale=False).model, x, error=-1.0)
