"""Equilibria against ten thousand plain turns and dense solves."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import relulens as rl
from relulens.errors import (
    InvalidArgumentError,
    NotConvergedError,
    NotWellPosedError,
    ShapeError,
)
from relulens.implicit.differentiable import fixed_point
from relulens.implicit.model import ImplicitModel


def positive_model(
    n: int, radius: float, dtype: torch.dtype = torch.float64, phi: str = "relu"
) -> ImplicitModel:
    rng = np.random.default_rng(n)
    A = rng.random((n, n))
    A *= radius / np.abs(np.linalg.eigvals(A)).max()
    parts = A, rng.standard_normal((n, 5)), rng.standard_normal((2, n))
    return ImplicitModel(*(torch.from_numpy(x).to(dtype) for x in parts), None, phi)


def plain(model: ImplicitModel, x: torch.Tensor, turns: int) -> torch.Tensor:
    A, B = (getattr(model, k).to_sparse().toarray() for k in "AB")
    b = x.double().numpy() @ B.T + model.a.double().numpy()
    wide = model.to(torch.float64).phi
    state = np.zeros((len(x), model.n))
    for _ in range(turns):
        state = wide.value(torch.from_numpy(state @ A.T + b)).numpy()
    return torch.from_numpy(state)


@pytest.mark.parametrize("method", ["auto", "picard", "secant", "anderson"])
@pytest.mark.parametrize("phi", ["relu", "tanh", "abs"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_bound_holds(method, phi, dtype):
    model = positive_model(20, 0.9, dtype, phi)
    x = torch.randn(7, 5, dtype=dtype)
    solution = rl.equilibrium(model, x, error=1e-6, method=method)
    off = (solution.state - plain(model, x, 600)).abs().amax(1)
    assert bool((off <= solution.error_bound + 1e-12).all())
    assert float(solution.error_bound.max()) <= 1e-6
    assert solution.state.dtype == torch.float64


@given(st.floats(1e-9, 1e-2), st.booleans())
def test_the_error_asked_for_is_met(error, relative):
    model = positive_model(12, 0.95)
    x = torch.randn(5, 5, dtype=torch.float64)
    solution = rl.equilibrium(model, x, error=error, relative=relative)
    wanted = plain(model, x, 1500)
    size = solution.state.abs().amax(1) if relative else torch.ones(5).double()
    assert bool((solution.error_bound <= error * size).all())
    off = (solution.state - wanted).abs().amax(1)
    assert bool((off <= solution.error_bound + 1e-11 * size).all())


def test_monotone_models_that_do_not_contract():
    rng = np.random.default_rng(5)
    half = rng.standard_normal((20, 20))
    for A in (
        0.8 * np.eye(20) + half - half.T,
        half - np.diag(np.abs(half).sum(1)),
    ):
        model = ImplicitModel(A, rng.standard_normal((20, 3)), np.ones((1, 20)))
        x = torch.randn(4, 3, dtype=torch.float64)
        solution = rl.equilibrium(model, x, error=1e-7)
        z = model.arguments(solution.state, x)
        residual = (torch.relu(z) - solution.state).abs().max()
        assert float(residual) <= 1e-7
        on = (solution.state > 0).double()
        # On its own piece the model is linear: one dense solve gives the state.
        for i in range(4):
            D = torch.diag(on[i])
            left = torch.eye(20).double() - D @ torch.from_numpy(A)
            b = D @ (model.B.apply(x)[i] + model.a)
            exact = torch.linalg.solve(left, b)
            off = (exact - solution.state[i]).abs().max()
            assert off <= solution.error_bound[i] + 1e-12
        with pytest.raises(InvalidArgumentError, match="not a contraction"):
            rl.equilibrium(model, x, method="picard")


def test_warm_starts_and_empty_batches():
    model = positive_model(20, 0.95)
    x = torch.randn(6, 5, dtype=torch.float64)
    cold = rl.equilibrium(model, x, error=1e-9)
    warm = rl.equilibrium(model, x, error=1e-9, initial=cold.state)
    assert warm.iterations < cold.iterations
    none = rl.equilibrium(model, x[:0])
    assert none.state.shape == (0, 20)
    assert none.error_bound.shape == (0,)
    with pytest.raises(ShapeError, match="initial"):
        rl.equilibrium(model, x, initial=cold.state[:2])


def test_refusals():
    x = torch.ones(1, 1).double()
    twice = ImplicitModel([[2.0]], [[1.0]], [[1.0]])
    with pytest.raises(NotWellPosedError, match="not well-posed") as caught:
        rl.equilibrium(twice, x)
    assert caught.value.bracket == pytest.approx((2.0, 2.0))
    model = positive_model(20, 0.99)
    batch = torch.randn(3, 5, dtype=torch.float64)
    with pytest.raises(NotConvergedError) as stopped:
        rl.equilibrium(model, batch, method="picard", turns=5)
    assert stopped.value.turns == 5
    assert 0 < stopped.value.reached < float("inf")
    with pytest.raises(InvalidArgumentError, match="loops"):
        rl.equilibrium(model, batch, method="substitution")
    with pytest.raises(InvalidArgumentError, match="none of"):
        rl.equilibrium(model, batch, method="newton")


def test_rounding_of_substitution_is_bounded():
    rng = np.random.default_rng(0)
    layers = [(rng.standard_normal((8, 8)), rng.standard_normal(8)) for _ in range(4)]
    single = [(w.astype(np.float32).astype(float), b) for w, b in layers]
    network = rl.from_layers(single)
    x = torch.randn(5, 8, dtype=torch.float64)
    solution = rl.equilibrium(rl.implicit_model(network), x)
    assert 0 < float(solution.error_bound.max()) < 1e-9
    exact = np.array(x.numpy(), dtype=np.longdouble)
    states = []
    for w, b in single[:-1]:
        exact = np.maximum(exact @ w.astype(np.longdouble).T + b, 0)
        states.append(exact)
    off = np.abs(np.concatenate(states, 1) - solution.state.numpy()).max(1)
    assert (off <= solution.error_bound.numpy()).all()


@pytest.mark.parametrize("phi", ["relu", "tanh", "silu"])
def test_gradients(phi):
    model = positive_model(6, 0.6, phi=phi)
    A = model.A.to_dense().requires_grad_()
    b = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda A, b: fixed_point(A, b, model.phi, tolerance=1e-13), (A, b), atol=1e-6
    )


def test_gradients_are_those_of_a_dense_solve():
    model = positive_model(40, 0.97)
    A = model.A.to_dense().requires_grad_()
    x = torch.randn(10, 5, dtype=torch.float64)
    b = (model.B.apply(x) + model.a).requires_grad_()
    weights = 1e-6 * torch.randn(10, 40, dtype=torch.float64)
    state = fixed_point(A, b, model.phi, tolerance=1e-9)
    given_A, given_b = torch.autograd.grad((state * weights).sum(), (A, b))
    on = (state.detach() > 0).double()
    exact = torch.stack([
        torch.linalg.solve(
            torch.eye(40).double() - (on[i][:, None] * A.detach()).T,
            weights[i],
        )
        * on[i]
        for i in range(10)
    ])
    assert (given_b - exact).abs().max() <= 1e-6 * exact.abs().max()
    wanted = exact.T @ state.detach()
    assert (given_A - wanted).abs().max() <= 1e-6 * wanted.abs().max()


def test_a_module_computes_and_trains():
    model = positive_model(8, 0.5, phi="tanh")
    module = rl.to_torch(model, tolerance=1e-12)
    x = torch.randn(6, 5, dtype=torch.float64)
    wanted = rl.equilibrium(model, x, error=1e-11).output
    assert torch.allclose(module(x), wanted, atol=1e-8)
    parameters = dict(module.named_parameters())
    for leaf in parameters.values():
        leaf.grad = None
    (module(x) ** 2).sum().backward()
    name, leaf = next(iter(parameters.items()))
    step = torch.zeros_like(leaf)
    step[0, 1] = 1e-6
    with torch.no_grad():
        leaf += step
        above = (module(x) ** 2).sum()
        leaf -= 2 * step
        below = (module(x) ** 2).sum()
        leaf += step
    slope = float((above - below) / 2e-6)
    assert float(leaf.grad[0, 1]) == pytest.approx(slope, rel=1e-5), name


def test_training_leaves_the_model_as_it_was():
    model = positive_model(8, 0.5, phi="tanh")
    module = rl.to_torch(model, tolerance=1e-12)
    x = torch.randn(6, 5, dtype=torch.float64)
    before = model.A.to_dense().clone()
    optimiser = torch.optim.SGD(module.parameters(), lr=1e-3)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = (module(x) ** 2).mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert torch.equal(before, model.A.to_dense())
    again = rl.equilibrium(module.model(), x, error=1e-11).output
    assert torch.allclose(module(x), again, atol=1e-8)


def test_a_module_of_a_network_trains_without_loops():
    network = rl.from_layers([(np.eye(3), [0.1, 0.2, 0.3]), (np.ones((2, 3)), None)])
    module = rl.to_torch(rl.implicit_model(network))
    x = torch.randn(4, 3, dtype=torch.float64)
    assert torch.equal(module(x), rl.evaluate(network, x))
    module(x).sum().backward()
    assert all(leaf.grad is not None for leaf in list(module.parameters())[:2])


@pytest.mark.parametrize("error", [0, 0.0, -1.0, float("nan"), "small", None])
def test_errors_that_cannot_be_met_are_refused(error):
    model = ImplicitModel([[0.5]], [[1.0]], [[1.0]])
    with pytest.raises(InvalidArgumentError, match=r"error is .* above 0"):
        rl.equilibrium(model, [[1.0]], error=error)
    with pytest.raises(InvalidArgumentError, match="turns is 0"):
        rl.equilibrium(model, [[1.0]], turns=0)


@pytest.mark.parametrize("method", ["auto", "picard", "secant", "anderson"])
def test_a_state_of_zeros_is_met_relative_to_itself(method):
    model = ImplicitModel([[0.5]], [[1.0]], [[1.0]])
    x = torch.tensor([[-3.0], [0.0], [1.0]]).double()
    found = rl.equilibrium(model, x, relative=True, method=method, error=1e-12)
    assert found.state[:2].eq(0).all()
    assert float(found.state[2]) == pytest.approx(2.0, abs=1e-11)
    assert (found.error_bound <= 1e-11).all()
    warm = torch.ones_like(x)
    again = rl.equilibrium(model, x[:1], relative=True, initial=warm[:1], method=method)
    assert again.state.eq(0).all()


def test_an_error_relative_to_a_zero_state_says_so():
    model = ImplicitModel([[0.5]], [[1.0]], [[1.0]])
    x, warm = [[-3.0], [1.0]], torch.ones(2, 1)
    with pytest.raises(NotConvergedError, match="exactly 0 for 1 of 2 inputs"):
        rl.equilibrium(model, x, relative=True, initial=warm, turns=1)
    with pytest.raises(NotConvergedError, match="Allow more turns, a larger"):
        rl.equilibrium(model, x, initial=warm, turns=1)


def test_an_equilibrium_is_its_outputs_as_an_array():
    found = rl.equilibrium(ImplicitModel([[0.5]], [[1.0]], [[3.0]]), [[1.0], [-1.0]])
    assert np.array_equal(np.asarray(found), found.output.numpy())
    assert np.asarray(found, dtype=np.float32).dtype == np.float32


def test_what_is_no_model_or_no_numbers_is_refused():
    network = rl.from_layers([([[1.0]], None), ([[1.0]], None)])
    for wrong in (network, "model", None):
        with pytest.raises(InvalidArgumentError, match="an implicit model is needed"):
            rl.equilibrium(wrong, [[1.0]])
        with pytest.raises(InvalidArgumentError, match="an implicit model is needed"):
            rl.to_torch(wrong)
    model = ImplicitModel([[0.5]], [[1.0]], [[1.0]])
    with pytest.raises(InvalidArgumentError, match="cannot use x"):
        rl.equilibrium(model, "a")
    with pytest.raises(InvalidArgumentError, match="rows differ in length"):
        rl.equilibrium(model, [[1.0], [1.0, 2.0]])
    with pytest.raises(InvalidArgumentError, match="cannot use initial"):
        rl.equilibrium(model, [[1.0]], initial="a")
