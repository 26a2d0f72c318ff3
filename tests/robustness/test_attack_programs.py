import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NETWORKS, whole
from oracles import replayed
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from relulens.errors import InvalidArgumentError, NotPolyhedralError, ShapeError
from relulens.graph.domain import Box
from relulens.importers.layers import from_layers
from relulens.numerics.sparse_programs import SparseProgram
from relulens.robustness.attacks.linear_program import linear_program_attack

UNIT = Box(0, 1)
LAYERS = [
    (whole(6, 5, seed=1), whole(6, seed=2)),
    (whole(3, 6, seed=3), torch.tensor([0.0, 1 / 64, 2 / 64]).double()),
]
X = torch.tensor([[0.25, 0.5, 0.75, 0.0, 1.0], [0.5] * 5, [0.0] * 5]).double()


def draws(x, k, radius, low, high, count=400):
    """Return random inputs that the attack would be allowed to return."""
    generator = np.random.default_rng(0)
    x = x.numpy()
    trials = np.repeat(x[None], count, 0)
    for trial in trials:
        flat = trial.reshape(-1)
        places = generator.choice(flat.size, size=min(k, flat.size), replace=False)
        step = generator.choice([-radius, radius, 0.5 * radius], size=len(places))
        flat[places] = np.clip(flat[places] + step, low, high)
    return torch.from_numpy(trials)


def exact_largest(x, label, rival, k, radius):
    """Return the largest difference of logits with k changes, by a mixed program."""
    (w1, b1), (w2, b2) = [(w.numpy(), b.numpy()) for w, b in LAYERS]
    hidden, inputs = w1.shape
    big = np.abs(w1).sum(1) + np.abs(b1) + 1
    # unknowns: u, state, which units are on, which entries change
    cost = np.zeros(2 * inputs + 2 * hidden)
    cost[inputs : inputs + hidden] = -(w2[rival] - w2[label])
    eye, none = np.eye(hidden), np.zeros((hidden, inputs))
    zero, few = np.zeros((hidden, hidden)), np.zeros((inputs, hidden))
    same = np.eye(inputs)
    rows = [
        (np.hstack([-w1, eye, zero, none]), b1, np.inf),
        (np.hstack([-w1, eye, np.diag(big), none]), -np.inf, b1 + big),
        (np.hstack([none, eye, -np.diag(big), none]), -np.inf, 0.0),
        (np.hstack([same, few, few, -radius * same]), -np.inf, x),
        (np.hstack([same, few, few, radius * same]), x, np.inf),
        (np.r_[np.zeros(inputs + 2 * hidden), np.ones(inputs)][None], -np.inf, k),
    ]
    solved = milp(
        cost,
        constraints=[LinearConstraint(*row) for row in rows],
        integrality=np.r_[np.zeros(inputs + hidden), np.ones(hidden + inputs)],
        bounds=Bounds(
            np.zeros(len(cost)),
            np.r_[np.ones(inputs), np.full(hidden, np.inf), np.ones(hidden + inputs)],
        ),
    )
    return -solved.fun + b2[rival] - b2[label]


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("faces", ["triangle", "source"])
def test_the_program_bounds_the_exact_one(k: int, faces: str) -> None:
    network = from_layers(LAYERS)
    found = linear_program_attack(network, X, k=k, radius=0.5, domain=UNIT, faces=faces)
    for i in range(len(X)):
        label, rival = int(found.attack.labels[i]), int(found.rival[i])
        exact = exact_largest(X[i].numpy(), label, rival, k, 0.5)
        assert float(found.bound[i]) >= exact - 1e-7
        assert float(found.rounded[i]) <= exact + 1e-7
        assert float(found.reached[i]) <= float(found.bound[i]) + 1e-7


def test_the_missing_face_is_what_makes_the_program_tight() -> None:
    network = from_layers(LAYERS)
    arguments = {"k": 2, "radius": 0.25, "domain": UNIT, "targets": 1}
    labels = replayed(network, X)[network.output].argmax(1)
    x = X[labels != 1]
    tight = linear_program_attack(network, x, **arguments)
    loose = linear_program_attack(network, x, faces="source", **arguments)
    assert (tight.bound <= loose.bound + 1e-7).all()
    assert (tight.looseness < 0.5 * loose.looseness).all()


def test_inside_a_region_the_triangle_is_exact() -> None:
    network = from_layers(LAYERS)
    found = linear_program_attack(network, X[:2], k=5, radius=1e-4, domain=UNIT)
    assert torch.allclose(found.bound, found.reached, atol=1e-6)


@settings(max_examples=6)
@given(st.integers(0, 1000))
def test_no_allowed_input_beats_the_bound(seed: int) -> None:
    layers = [
        (whole(5, 4, seed=seed), whole(5, seed=seed + 1)),
        (whole(5, 5, seed=seed + 2), None),
        (whole(2, 5, seed=seed + 3), None),
    ]
    network = from_layers(layers)
    x = torch.full((1, 4), 0.5, dtype=torch.float64)
    label = int(replayed(network, x)[network.output].argmax())
    for faces in ("triangle", "source"):
        found = linear_program_attack(
            network, x, k=2, radius=0.5, domain=UNIT, faces=faces, labels=[label]
        )
        trials = draws(x[0], 2, 0.5, 0.0, 1.0)
        logits = replayed(network, trials)[network.output]
        assert float((logits[:, 1 - label] - logits[:, label]).max()) <= (
            float(found.bound) + 1e-6
        )


@pytest.mark.parametrize(
    "name", ["max_pool", "ragged_max_pool", "leaky", "absolute_value", "parametric"]
)
def test_other_kinds_of_node_are_bounded_too(name: str) -> None:
    network, x = NETWORKS[name]()
    x = x[:2]
    domain = Box(-10, 10)
    found = linear_program_attack(network, x, k=2, radius=1.0, domain=domain)
    for i in range(len(x)):
        trials = draws(x[i], 2, 1.0, -10.0, 10.0, count=100)
        logits = replayed(network, trials)[network.output]
        gain = logits[:, found.rival[i]] - logits[:, found.attack.labels[i]]
        assert float(gain.max()) <= float(found.bound[i]) + 1e-5
    assert int(found.changed.max()) <= 2
    assert float((found.inputs - x).abs().max()) <= 1.0


def test_refusals_say_what_is_wrong() -> None:
    network = from_layers(LAYERS)
    with pytest.raises(InvalidArgumentError, match="k=0"):
        linear_program_attack(network, X, k=0, radius=0.1, domain=UNIT)
    with pytest.raises(InvalidArgumentError, match="radius from 0"):
        linear_program_attack(network, X, k=1, radius=0.0, domain=UNIT)
    with pytest.raises(ShapeError):
        linear_program_attack(network, X, k=1, radius=[0.1, 0.2], domain=UNIT)
    with pytest.raises(InvalidArgumentError, match="faces='both'"):
        linear_program_attack(network, X, k=1, radius=0.1, domain=UNIT, faces="both")
    curved, x = NETWORKS["smooth"]()
    with pytest.raises(NotPolyhedralError):
        linear_program_attack(curved, x, k=1, radius=0.1, domain=Box(-9, 9))


def test_misclassified_inputs_and_none_at_all() -> None:
    network = from_layers(LAYERS)
    wrong = replayed(network, X)[network.output].argmin(1)
    found = linear_program_attack(
        network, X, labels=wrong, k=1, radius=0.1, domain=UNIT
    )
    assert set(found.verdict) == {"misclassified"}
    assert torch.isnan(found.bound).all()
    assert len(linear_program_attack(network, X[:0], k=1, radius=0.1, domain=UNIT)) == 0


def test_a_sparse_program_has_all_three_ends() -> None:
    rows = csr_array(np.array([[1.0, 1.0]]))
    bounds = (np.zeros(2), np.full(2, np.inf))
    least, most = np.array([-np.inf]), np.array([3.0])
    best = SparseProgram(rows, least, most, *bounds).maximise(np.array([1.0, 2.0]))
    assert (best.status, best.value) == ("optimal", 6.0)
    assert best.point.tolist() == [0.0, 3.0]
    open_ = SparseProgram(rows, -most, np.array([np.inf]), *bounds)
    assert open_.maximise(np.ones(2)).status == "unbounded"
    empty = SparseProgram(rows, least, np.array([-1.0]), *bounds)
    assert empty.maximise(np.ones(2)).status == "infeasible"
