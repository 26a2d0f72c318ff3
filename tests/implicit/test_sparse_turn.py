"""Compiled turns and changes against plain products, and loops with few entries."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array, random_array

import relulens as rl
from relulens.implicit.change import relative_change
from relulens.implicit.differentiable import fixed_point
from relulens.implicit.model import ImplicitModel
from relulens.implicit.sparse_turn import along_batch, of_blocks, of_dense


def few_entries(n: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    A = random_array((n, n), density=0.04, rng=rng).toarray()
    A *= rng.choice([-1.0, 1.0], (n, n))
    return torch.from_numpy(A * 0.9 / np.abs(A).sum(1).max())


@pytest.mark.parametrize("phi", ["relu", "tanh"])
def test_turns_are_those_of_the_dense_matrix(phi):
    few = few_entries(80).ne(0).numpy()
    A = torch.from_numpy(np.random.default_rng(1).integers(-3, 4, (80, 80)) * few)
    A = A.double()
    b, x, s = torch.randint(-4, 5, (3, 11, 80)).double()
    entries = of_dense(A, 11)
    assert entries is not None
    operation = ImplicitModel(A, np.ones((80, 1)), np.ones((1, 80)), phi=phi).phi
    wanted = operation.value(x @ A.T + b)
    assert torch.equal(entries.turn(x, along_batch(b), operation), wanted)
    assert torch.equal(entries.T.sloped(x, b, s), b + s * (x @ A))
    x[3, 5] = torch.nan
    lost = entries.turn(x, b, operation).isnan().any(1)
    assert lost.tolist() == [i == 3 and bool(A[:, 5].any()) for i in range(11)]


def test_only_matrices_with_few_entries_are_taken():
    assert of_dense(torch.randn(80, 80), 11) is None
    assert of_dense(few_entries(80), 2) is None
    assert of_dense(few_entries(20), 11) is None


def test_gradients_do_not_depend_on_how_products_are_made():
    n = 70
    A, b = few_entries(n), torch.randn(12, n, dtype=torch.float64)
    weights = torch.randn(12, n, dtype=torch.float64)
    phi = ImplicitModel(A, np.ones((n, 1)), np.ones((1, n))).phi
    found = []
    for batch in (12, 1):
        leaf, shift = A.clone().requires_grad_(), b.clone().requires_grad_()
        parts = [
            fixed_point(leaf, part, phi, tolerance=1e-13) for part in shift.split(batch)
        ]
        loss = (torch.cat(parts) * weights).sum()
        found.append((*parts[:1], *torch.autograd.grad(loss, (leaf, shift))))
    assert torch.allclose(found[0][0][:1], found[1][0], atol=1e-11)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-10)
    assert torch.allclose(found[0][2], found[1][2], atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("phi", ["relu", "tanh"])
def test_equilibria_of_sparse_and_dense_models_agree(dtype, phi):
    A = few_entries(90)
    B = np.random.default_rng(2).standard_normal((90, 3))
    out = np.ones((1, 90))
    dense = ImplicitModel(A, B, out, phi=phi)
    assert of_blocks(dense.A, 20, dtype, dense.device) is not None
    sparse = ImplicitModel(csr_array(A.numpy()), B, out, phi=phi)
    x = torch.randn(20, 3, dtype=torch.float64)
    first = rl.equilibrium(dense.to(dtype), x.to(dtype), error=1e-7)
    second = rl.equilibrium(sparse, x.to(dtype).double(), error=1e-10)
    assert float(first.error_bound.max()) <= 1e-7
    if dtype == torch.float64:
        off = (first.state - second.state).abs().amax(1)
        assert bool((off <= first.error_bound + second.error_bound).all())


@pytest.mark.parametrize("shape", [(70, 61), (1, 5000), (5000, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_changes(shape, dtype):
    state, image = torch.randn(2, *shape, dtype=dtype)
    image[0, 0] = 0.0
    tiny = torch.finfo(dtype).tiny
    ratio = (image - state).abs().amax(1) / image.abs().amax(1).clamp(min=tiny)
    wanted = float(ratio.amax())
    for pair in ((state, image), (along_batch(state), along_batch(image))):
        assert relative_change(*pair) == pytest.approx(wanted, rel=1e-6)
    image[-1, -1] = torch.nan
    for pair in ((state, image), (along_batch(state), along_batch(image))):
        assert relative_change(*pair) == float("inf")
