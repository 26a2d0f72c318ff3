"""The sensitivity matrix: against solves, sampling, and models with loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NETWORKS
from resnet import resnet20
from scipy.sparse import eye_array
from scipy.sparse.linalg import spsolve_triangular

import relulens as rl
from relulens.errors import MemoryLimitError, NotWellPosedError, UnboundedError
from relulens.graph.blocks import blocks

BOUNDED = ("max_pool", "residual", "leaky", "parametric", "concat", "smooth", "clamp")


def test_a_worked_example():
    network = rl.from_layers([([[2.0], [-1.0]], None), ([[1.0, 3.0]], None)])
    assert np.asarray(rl.sensitivity(network)).tolist() == [[5.0]]
    assert rl.sensitivity(network).gain.tolist() == [5.0]


@pytest.mark.parametrize("name", BOUNDED)
def test_no_change_carries_further(name):
    network, x = NETWORKS[name]()
    found = rl.sensitivity(network)
    generator = torch.Generator().manual_seed(0)
    for scale in (1e-3, 1.0, 30.0):
        step = scale * torch.randn(x.shape, generator=generator).double()
        moved = (rl.evaluate(network, x + step) - rl.evaluate(network, x)).abs()
        most = found.change(step.abs().flatten(1))
        assert (moved.flatten(1) <= most * (1 + 1e-12) + 1e-12).all()


@pytest.mark.slow
def test_resnet20_equals_the_sparse_triangular_solve():
    torch.manual_seed(0)
    form = blocks(resnet20())
    A, B, C, D = (abs(form.to_sparse(letter)) for letter in "ABCD")
    system = (eye_array(A.shape[0], format="csr") - A).tocsr().T.tocsr()
    solved = spsolve_triangular(system, C.toarray().T, lower=False)
    wanted = (B.T @ solved).T + D.toarray()
    found = rl.sensitivity(form.network)
    assert found.exact
    assert np.abs(np.asarray(found) / wanted - 1).max() < 1e-12
    assert found.rounding < 1e-11


def test_a_convolutional_network_equals_the_solve_with_its_matrices():
    network, _ = NETWORKS["projected_residual"]()
    form = blocks(network)
    A, B, C, D = (abs(form.to_sparse(letter)).toarray() for letter in "ABCD")
    wanted = C @ np.linalg.solve(np.eye(len(A)) - A, B) + D
    assert np.allclose(np.asarray(rl.sensitivity(network)), wanted, rtol=1e-13)


def test_what_overflows_is_carried_as_a_power_of_two():
    layers = [([[1e80]], None)] * 5
    found = rl.sensitivity(rl.from_layers(layers))
    assert torch.isfinite(found.matrix).all()
    power = np.log2(float(found.matrix)) + int(found.exponent)
    assert power == pytest.approx(5 * 80 * np.log2(10), rel=1e-12)
    assert np.isinf(np.asarray(found)).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_loops_with_and_without_the_sharper_diagonal(seed, negative):
    random = np.random.default_rng(seed)
    A = random.normal(size=(5, 5))
    A = 0.7 * A / np.abs(A).sum(1).max()
    if negative:
        A[np.diag_indices(5)] = -np.abs(np.diag(A)) - 0.2
    B, C, D = random.normal(size=(5, 2)), random.normal(size=(2, 5)), np.ones((2, 2))
    model = rl.ImplicitModel(A, B, C, D, "relu")
    found = rl.sensitivity(model)
    P = np.abs(A)
    if (np.diag(A) < 0).any():
        P[np.diag_indices(5)] = np.diag(A)
        assert found.sharpened
    wanted = np.abs(C) @ np.linalg.inv(np.eye(5) - P) @ np.abs(B) + np.abs(D)
    assert np.allclose(np.asarray(found), wanted, rtol=1e-9)
    assert (np.asarray(found) >= wanted * (1 - 1e-14)).all()


def test_a_network_as_a_model_has_the_same_matrix():
    network, _ = NETWORKS["max_pool"]()
    one, two = rl.sensitivity(network), rl.sensitivity(rl.implicit_model(network))
    assert np.allclose(np.asarray(one), np.asarray(two), rtol=1e-10)


def test_a_matrix_is_indexed_as_an_array():
    network, _ = NETWORKS["wide"]()
    found = rl.sensitivity(network)
    whole = np.asarray(found)
    assert len(found) == network.output_size
    assert np.array_equal(found[1], whole[1])
    assert float(found[1, 0]) == whole[1, 0]
    assert np.array_equal(found[:, 1], whole[:, 1])


def test_refusals():
    with pytest.raises(UnboundedError, match="product"):
        rl.sensitivity(NETWORKS["product"]()[0])
    with pytest.raises(MemoryLimitError):
        rl.sensitivity(NETWORKS["wide"]()[0], limit=10)
    model = rl.ImplicitModel([[1.5]], [[1.0]], [[1.0]], None, "relu")
    with pytest.raises(NotWellPosedError):
        rl.sensitivity(model)
