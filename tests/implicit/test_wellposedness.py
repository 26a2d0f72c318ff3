"""Verdicts against enumeration of all pieces, and checkers against corruption."""

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import relulens as rl
from relulens.certificates.contraction import Contraction
from relulens.certificates.equilibria import TwoEquilibria
from relulens.certificates.monotone import DiagonalLyapunov, MetzlerBound, PMatrix
from relulens.certificates.triangular import BlockOrder, EntryOrder
from relulens.errors import InvalidArgumentError
from relulens.graph.coupled import Softmax
from relulens.graph.groups import Groups
from relulens.graph.nodes import Coupled, Maximum
from relulens.implicit.model import ImplicitModel


def model_of(A: np.ndarray, phi: object = "relu") -> ImplicitModel:
    n = len(A)
    return ImplicitModel(A, np.eye(n), np.eye(n), None, phi)


def determinant(rows: list[list[Fraction]]) -> Fraction:
    if not rows:
        return Fraction(1)
    return sum(
        (
            (-1) ** j * x * determinant([r[:j] + r[j + 1 :] for r in rows[1:]])
            for j, x in enumerate(rows[0])
        ),
        Fraction(0),
    )


def all_minors_positive(A: np.ndarray) -> bool:
    """Enumerate the principal minors of I - A in rationals."""
    n = len(A)
    M = [
        [Fraction(int(i == j)) - Fraction(A[i, j]) for j in range(n)] for i in range(n)
    ]
    return all(
        determinant([[M[i][j] for j in rows] for i in rows]) > 0
        for size in range(1, n + 1)
        for rows in itertools.combinations(range(n), size)
    )


entry = st.integers(-4, 4).map(lambda k: k / 2)


@given(st.lists(entry, min_size=16, max_size=16), st.integers(0, 3))
def test_small_relu_models_are_decided_exactly(numbers, shift):
    A = np.array(numbers).reshape(4, 4) / 2 - shift * np.eye(4) / 2
    proof = rl.wellposedness(model_of(A))
    wanted = "well-posed" if all_minors_positive(A) else "not well-posed"
    assert proof.verdict in {wanted, "undecided"}
    if wanted == "well-posed":
        assert proof.verdict == wanted
    if proof.certificate is not None:
        assert proof.certificate.verify()


@given(
    st.lists(entry, min_size=16, max_size=16), st.lists(entry, min_size=4, max_size=4)
)
def test_well_posed_models_have_one_solution_among_the_pieces(numbers, b):
    A = np.array(numbers).reshape(4, 4) / 3
    if rl.wellposedness(model_of(A)).verdict != "well-posed":
        return
    found: list[np.ndarray] = []
    for signs in itertools.product((0.0, 1.0), repeat=4):
        D = np.diag(signs)
        x = np.linalg.solve(np.eye(4) - D @ A, D @ np.array(b))
        if np.abs(np.maximum(A @ x + b, 0) - x).max() < 1e-9:
            found.append(x)
    assert found
    assert max(np.abs(x - found[0]).max() for x in found) < 1e-7
    solution = rl.equilibrium(model_of(A), [b])
    off = np.abs(solution.state.numpy()[0] - found[0]).max()
    assert off <= float(solution.error_bound[0]) + 1e-9


def spread(A: np.ndarray, seed: int) -> np.ndarray:
    d = np.exp(np.random.default_rng(seed).standard_normal(len(A)))
    return d[:, None] * A / d


def cases() -> dict[str, tuple[np.ndarray, type, str]]:
    rng = np.random.default_rng(0)
    n = 30
    norm = rng.standard_normal((n, n))
    norm *= 0.9 / np.abs(norm).sum(1).max()
    positive = np.abs(rng.standard_normal((n, n)))
    positive = spread(positive * 0.98 / np.abs(np.linalg.eigvals(positive)).max(), 1)
    metzler = rng.standard_normal((n, n))
    np.fill_diagonal(metzler, 0)
    metzler -= np.diag(np.abs(metzler).sum(1) - 0.5)
    skew = rng.standard_normal((n, n))
    monotone = spread(0.9 * np.eye(n) + 3 * (skew - skew.T), 2)
    triangular = np.triu(rng.standard_normal((n, n)), 1)[::-1, ::-1]
    # A P-matrix without a diagonal solution (Lyapunov's inequality fails).
    return {
        "norm": (norm, Contraction, "norm"),
        "perron-frobenius": (positive, Contraction, "perron-frobenius"),
        "metzler": (spread(metzler, 3), MetzlerBound, "metzler"),
        "monotone": (monotone, DiagonalLyapunov, "monotone"),
        "triangular": (triangular, EntryOrder, "triangular"),
        "not": (1.1 * positive / 0.98, TwoEquilibria, "two equilibria"),
    }


@pytest.mark.parametrize("name", list(cases()))
def test_every_method_is_reached_with_its_proof(name):
    A, kind, method = cases()[name]
    proof = rl.wellposedness(model_of(A))
    assert proof.method == method
    assert isinstance(proof.certificate, kind)
    assert proof.certificate.verify()


def test_the_bracket_holds_the_eigenvalue():
    A = cases()["perron-frobenius"][0]
    proof = rl.wellposedness(model_of(A))
    low, high = proof.bracket
    assert low - 1e-9 <= 0.98 <= high + 1e-9
    assert bool(
        (
            torch.from_numpy(np.abs(A)) @ proof.vector
            <= proof.contraction * proof.vector
        ).all()
    )


def test_corrupted_proofs_are_refused():
    made = {
        k: rl.wellposedness(model_of(A)).certificate for k, (A, _, _) in cases().items()
    }
    first = made["perron-frobenius"]
    one = torch.ones(30).double()
    bad = [
        replace(first, factor=first.factor - 0.05),
        replace(first, factor=1.0),
        replace(first, vector=-first.vector),
        replace(first, vector=one[:3]),
        replace(first, vector=torch.cat([first.vector[:1] * 100, first.vector[1:]])),
        replace(made["metzler"], vector=one * torch.linspace(1, 90, 30).double()),
        replace(made["metzler"], factor=made["metzler"].factor - 0.1),
        replace(made["metzler"], steepest=-one),
        replace(made["monotone"], scales=torch.linspace(1, 1e6, 30).double()),
        replace(made["monotone"], scales=-one),
        replace(made["triangular"], levels=torch.zeros(30).long()),
        replace(made["not"], gap=torch.zeros(30).double()),
        replace(made["not"], gap=-0.0 * one),
        replace(made["not"], gap=torch.linspace(-1, 1, 30).double()),
        PMatrix(A=made["norm"].A, steepest=one),
        PMatrix(A=model_of(2 * np.eye(2)).A, steepest=one[:2]),
    ]
    for proof in bad:
        assert not proof.verify(), proof
    network = rl.from_layers([(np.eye(2), None)] * 3)
    order = rl.wellposedness(rl.implicit_model(network)).certificate
    assert isinstance(order, BlockOrder)
    assert not replace(order, order=[1, 0]).verify()
    assert not replace(order, order=[0]).verify()


def test_two_equilibria_are_equilibria():
    proof = rl.wellposedness(model_of(np.array([[0.0, 2.0], [1.0, 0.0]])))
    assert proof.verdict == "not well-posed"
    one, two = (x.numpy() for x in proof.certificate.states)
    A, gap = np.array([[0.0, 2.0], [1.0, 0.0]]), one - two
    b = one - A @ one - np.maximum(gap - A @ gap, 0)
    for x in (one, two):
        assert np.abs(np.maximum(A @ x + b, 0) - x).max() < 1e-12
    assert np.abs(gap).max() > 0


def test_steep_functions_are_not_taken_for_contractions():
    A = 0.95 * np.eye(3)
    assert rl.wellposedness(model_of(A)).verdict == "well-posed"
    assert rl.wellposedness(model_of(A, "tanh")).verdict == "well-posed"
    assert rl.wellposedness(model_of(A, "silu")).verdict == "undecided"
    assert rl.wellposedness(model_of(0.9 * np.eye(3), "silu")).verdict == "well-posed"
    assert (
        rl.wellposedness(model_of(3.9 * np.eye(3), "sigmoid")).verdict == "well-posed"
    )


@pytest.mark.parametrize("n", [1, 2])
def test_the_identity_as_a_loop_has_two_equilibria(n):
    model = model_of(np.eye(n))
    proof = rl.wellposedness(model)
    assert proof.verdict == "not well-posed"
    assert proof.certificate.verify()
    assert rl.wellposedness(model_of(np.eye(n), "tanh")).verdict == "undecided"


def test_what_is_no_model_or_no_box_is_refused():
    network = rl.from_layers([([[1.0]], None), ([[1.0]], None)])
    for wrong in (network, "model", None):
        with pytest.raises(InvalidArgumentError, match="an implicit model is needed"):
            rl.wellposedness(wrong)
    with pytest.raises(InvalidArgumentError, match="tuple as domain"):
        rl.wellposedness(model_of(np.eye(2)), domain=(0, 1))


def test_coupled_blocks_have_gains():
    pool = Maximum(
        name="pool", shape=(2,), source=0, groups=Groups((2, 2), (2,), axis=1)
    )
    A = np.full((4, 2), 0.4)
    model = ImplicitModel(A, np.eye(4), np.eye(2), None, pool)
    proof = rl.wellposedness(model)
    # Two entries of a window with slopes that sum to one: the gain counts both.
    assert proof.verdict == "undecided"
    model = ImplicitModel(A / 2, np.eye(4), np.eye(2), None, pool)
    assert rl.wellposedness(model).certificate.verify()
    soft = Coupled(name="soft", shape=(3,), sources=(0,), function=Softmax(-1))
    model = ImplicitModel(np.eye(3), np.eye(3), np.eye(3), None, soft)
    assert rl.wellposedness(model).certificate.verify()
