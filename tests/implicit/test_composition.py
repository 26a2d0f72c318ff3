"""Models made of models, against their parts."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import relulens as rl
from relulens.errors import InvalidArgumentError, NotWellPosedError
from relulens.implicit.composition import after, before
from relulens.implicit.model import ImplicitModel

EXACT = 1e-12


def random_model(seed: int, n: int, p: int, q: int, phi: str = "relu") -> ImplicitModel:
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    A *= 0.6 / max(np.abs(A).sum(1).max(), 1e-9)
    return ImplicitModel(
        A,
        rng.standard_normal((n, p)) / 2,
        rng.standard_normal((q, n)) / 2,
        rng.standard_normal((q, p)) / 2,
        phi,
        rng.standard_normal(n),
        rng.standard_normal(q),
    )


def out(model: ImplicitModel, x: Tensor) -> Tensor:
    return rl.equilibrium(model, x, error=1e-14, turns=2000).output


def inputs(p: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).standard_normal((6, p)))


def solved(model: ImplicitModel, x: Tensor) -> Tensor:
    """Ten thousand plain turns, dense: shares no code with the solvers."""
    A, B, C, D = (getattr(model, k).to_sparse().toarray() for k in "ABCD")
    state = np.zeros((x.shape[0], model.n))
    for _ in range(80):
        z = state @ A.T + x.numpy() @ B.T + model.a.numpy()
        state = model.phi.value(torch.from_numpy(z)).numpy()
    return torch.from_numpy(state @ C.T + x.numpy() @ D.T + model.d.numpy())


@given(seed=st.integers(0, 10_000))
def test_laws(seed):
    one, two = random_model(seed, 4, 3, 2), random_model(seed + 1, 5, 3, 2, "tanh")
    three = random_model(seed + 2, 3, 2, 3)
    x = inputs(3)
    pair = [
        (rl.cascade(three, one), solved(three, solved(one, x))),
        (rl.add(one, two, one), 2 * solved(one, x) + solved(two, x)),
        (rl.multiply(one, two), solved(one, x) * solved(two, x)),
        (
            rl.parallel(one, two, share_input=True),
            torch.cat([solved(one, x), solved(two, x)], 1),
        ),
    ]
    for model, wanted in pair:
        assert (solved(model, x) - wanted).abs().max() < EXACT
    apart = rl.parallel(one, three)
    wanted = torch.cat([solved(one, x), solved(three, x[:, :2])], 1)
    both = torch.cat([x, x[:, :2]], 1)
    assert (solved(apart, both) - wanted).abs().max() < EXACT


@given(seed=st.integers(0, 10_000))
def test_affine_maps_before_and_after(seed):
    model = random_model(seed, 4, 3, 2)
    rng = np.random.default_rng(seed)
    P, Q = rng.standard_normal((3, 5)), rng.standard_normal((4, 2))
    p, q = rng.standard_normal(3), rng.standard_normal(4)
    x = inputs(5)
    inner = x @ torch.from_numpy(P).T + torch.from_numpy(p)
    wanted = solved(model, inner) @ torch.from_numpy(Q).T + torch.from_numpy(q)
    both = after(before(model, P, p), Q, q)
    assert (solved(both, x) - wanted).abs().max() < EXACT


@given(seed=st.integers(0, 10_000))
def test_feedback_satisfies_its_equation(seed):
    model = random_model(seed, 4, 3, 2)
    K = np.random.default_rng(seed).standard_normal((3, 2)) / 20
    closed = rl.feedback(model, K)
    x = inputs(3)
    y = solved(closed, x)
    again = solved(model, x + y @ torch.from_numpy(K).T)
    assert (y - again).abs().max() < EXACT


def test_cascade_is_associative_and_of_networks():
    nets = [
        rl.from_layers([(np.eye(3)[:2] + 1, [1.0, -1.0]), (np.ones((3, 2)), None)])
        for _ in range(3)
    ]
    a, b, c = (rl.implicit_model(net) for net in nets)
    x = inputs(3)
    left = rl.equilibrium(rl.cascade(rl.cascade(c, b), a), x).output
    right = rl.equilibrium(rl.cascade(c, rl.cascade(b, a)), x).output
    wanted = x
    for net in nets:
        wanted = rl.evaluate(net, wanted)
    assert (left - right).abs().max() < EXACT
    assert (left - wanted).abs().max() < EXACT * wanted.abs().max()


def test_a_cascade_of_networks_stays_without_loops():
    net = rl.from_layers([(np.eye(3), None), (np.eye(3), None)])
    model = rl.implicit_model(net)
    assert rl.wellposedness(rl.cascade(model, model)).method == "triangular"


def test_a_product_needs_a_domain_only_in_a_loop():
    whole = [random_model(seed, 3, 2, 2, "tanh") for seed in (0, 1)]
    one, two = (ImplicitModel(m.A, m.B, m.C, None, m.phi, m.a, m.d) for m in whole)
    product = rl.multiply(one, two)
    proof = rl.wellposedness(product)
    assert proof.verdict == "well-posed"
    assert proof.certificate.verify()
    solution = rl.equilibrium(product, inputs(2))
    assert (solution.output - solved(product, inputs(2))).abs().max() < 1e-7
    assert "no bound" in solution.reason
    with pytest.raises(rl.errors.UnboundedError, match="domain"):
        rl.feedback(product, np.eye(2) / 20)
    closed = rl.feedback(product, np.eye(2) / 20, domain=rl.Box(-1, 1))
    assert rl.wellposedness(closed, domain=rl.Box(-1, 1)).certificate.verify()


def test_refusals():
    model = random_model(0, 3, 2, 1)
    with pytest.raises(InvalidArgumentError, match="cascade"):
        rl.cascade(model, model)
    with pytest.raises(InvalidArgumentError, match=r"K is \[1, 2\]"):
        rl.feedback(model, np.ones((1, 2)))
    with pytest.raises(InvalidArgumentError, match="0 are given"):
        rl.parallel()
    with pytest.raises(NotWellPosedError, match="feed back") as caught:
        rl.feedback(ImplicitModel([[0.5]], [[1.0]], [[1.0]]), [[5.0]])
    assert caught.value.radius > 1
    single = ImplicitModel([[0.0]], [[1.0]], [[1.0]], [[1.0]])
    with pytest.raises(InvalidArgumentError, match="singular"):
        rl.feedback(single, [[1.0]])


def test_what_is_no_model_is_refused():
    model = random_model(0, 2, 2, 2)
    network = rl.from_layers([([[1.0]], None), ([[1.0]], None)])
    for wrong in (network, "model", None):
        for compose in (rl.cascade, rl.multiply, rl.parallel, rl.add):
            for pair in ((model, wrong), (wrong, model)):
                with pytest.raises(InvalidArgumentError, match="model is needed"):
                    compose(*pair)
        for one in (before, after, rl.feedback):
            with pytest.raises(InvalidArgumentError, match="model is needed"):
                one(wrong, np.eye(2))
        with pytest.raises(InvalidArgumentError, match="model is needed"):
            rl.rescaled(wrong)
    for wrong in ("k", [[1.0], [1.0, 2.0]], None):
        with pytest.raises(InvalidArgumentError, match="cannot use K"):
            rl.feedback(model, wrong)
    with pytest.raises(InvalidArgumentError, match="tuple as domain"):
        rl.feedback(model, np.eye(2), domain=(0, 1))
    with pytest.raises(InvalidArgumentError, match="tuple as domain"):
        rl.multiply(model, model, domain=(0, 1))
    with pytest.raises(InvalidArgumentError, match="offset"):
        before(model, np.eye(2), "a")
