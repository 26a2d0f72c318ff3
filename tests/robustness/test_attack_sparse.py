import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NETWORKS, whole
from oracles import replayed

from relulens.errors import InvalidArgumentError, NotFiniteError, ShapeError
from relulens.graph.domain import Box
from relulens.importers.layers import from_layers
from relulens.robustness.attacks.sparse import sparse_attack

UNIT = Box(0, 1)


def tiny(seed: int, inputs: int = 6, classes: int = 3):
    """Return a network with whole weights and no ties, and inputs in [0, 1]."""
    uneven = torch.arange(classes).double() / 64
    layers = [
        (whole(7, inputs, seed=seed), whole(7, seed=seed + 1)),
        (whole(classes, 7, seed=seed + 2), whole(classes, seed=seed + 3) + uneven),
    ]
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 5, (5, inputs), generator=generator).double() / 4
    return from_layers(layers), x


def brute_force(network, x, label, k, low=0.0, high=1.0, target=None):
    """Return the least number of entries at ends that change the class, to k."""
    for size in range(1, k + 1):
        trials = []
        for places in itertools.combinations(range(x.numel()), size):
            for ends in itertools.product((low, high), repeat=size):
                trial = x.clone().reshape(-1)
                trial[list(places)] = torch.tensor(ends, dtype=torch.float64)
                trials.append(trial.reshape(x.shape))
        logits = replayed(network, torch.stack(trials))[network.output]
        goal = label if target is None else target
        others = logits.clone()
        others[:, goal] = -torch.inf
        best = others.amax(1)
        wrong = best > logits[:, goal] if target is None else logits[:, goal] > best
        if bool(wrong.any()):
            return size
    return None


def assert_checked(found, network, x, domain=UNIT, k=None):
    """Check every promise about returned inputs with the slow evaluation."""
    logits = replayed(network, found.inputs)[network.output]
    assert torch.isfinite(found.inputs).all()
    assert found.inputs in domain
    differs = (found.inputs != x).flatten(1).sum(1)
    assert torch.equal(differs, found.changed)
    assert k is None or int(found.changed.max()) <= k
    for i, ok in enumerate(found.success.tolist()):
        own = logits[i].clone()
        kept = int(found.labels[i] if found.targets is None else found.targets[i])
        value = own[kept].clone()
        own[kept] = -torch.inf
        wrong = own.max() > value if found.targets is None else value > own.max()
        assert ok == bool(wrong)
        assert ok or torch.equal(found.inputs[i], x[i])


@pytest.mark.parametrize("seed", range(0, 60, 4))
@pytest.mark.parametrize("k", [1, 2])
def test_the_least_number_of_ends_is_found(seed: int, k: int) -> None:
    network, x = tiny(seed)
    found = sparse_attack(network, x, k=k, domain=UNIT)
    assert_checked(found, network, x, k=k)
    for i in range(len(x)):
        least = brute_force(network, x[i], int(found.labels[i]), k)
        if least is not None:
            assert found.success[i]
            assert int(found.changed[i]) <= least
            assert int(found.excluded[i]) <= least
        else:
            assert int(found.excluded[i]) == k + 1


def test_as_few_as_exist_without_k() -> None:
    for seed in range(100, 120, 4):
        network, x = tiny(seed)
        found = sparse_attack(network, x, domain=UNIT)
        assert_checked(found, network, x)
        for i in range(len(x)):
            least = brute_force(network, x[i], int(found.labels[i]), 2)
            if least is not None:
                assert int(found.changed[i]) <= least
                assert found.success[i]


@pytest.mark.parametrize("target", [0, 1, 2])
def test_targets_are_reached(target: int) -> None:
    for seed in (8, 40):
        network, x = tiny(seed)
        labels = replayed(network, x)[network.output].argmax(1)
        x, labels = x[labels != target], labels[labels != target]
        found = sparse_attack(network, x, targets=target, domain=UNIT)
        assert_checked(found, network, x)
        assert (found.prediction[found.success] == target).all()
        for i in range(len(x)):
            least = brute_force(network, x[i], int(labels[i]), 2, target=target)
            assert least is None or int(found.changed[i]) <= least


@settings(max_examples=8)
@given(st.integers(0, 10_000))
def test_a_larger_budget_never_loses(seed: int) -> None:
    network, x = tiny(seed)
    x = x[:2]
    small, large = (sparse_attack(network, x, k=k, domain=UNIT) for k in (1, 6))
    assert not bool((small.success & ~large.success).any())
    again = sparse_attack(network, x, k=6, domain=UNIT)
    assert torch.equal(again.inputs, large.inputs)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_kind_of_network_is_attacked_in_its_box(name: str) -> None:
    network, x = NETWORKS[name]()
    if len(network.output_shape) != 1 or network.output_shape[0] < 2:
        return
    reach = float(x.abs().max()) + 1.0
    domain = Box(-reach, reach)
    found = sparse_attack(network, x, domain=domain)
    assert torch.isfinite(found.inputs).all()
    assert found.inputs in domain
    logits = replayed(network, found.inputs)[network.output]
    for i in found.success.nonzero().flatten().tolist():
        others = logits[i].clone()
        others[found.labels[i]] = -torch.inf
        assert others.max() > logits[i, found.labels[i]]
    if name != "diamonds":  # whose logits are too large for float32 to tell
        ends = (found.inputs.abs() == reach) | (found.inputs == x)
        shown = found.success & ends.flatten(1).all(1)
        assert (found.excluded[shown] <= found.changed[shown]).all()


def test_values_between_the_ends_are_found() -> None:
    # class 1 wins only for x in (0.25, 0.75): a tent with its top at one half
    first = ([[4.0], [8.0]], [-1.0, -4.0])
    network = from_layers([first, ([[0.0, 0.0], [1.0, -1.0]], [0.5, 0.0])])
    x = torch.tensor([[0.125]], dtype=torch.float64)
    found = sparse_attack(network, x, domain=UNIT)
    assert found.verdict == ("found",)
    assert 0.375 < float(found.inputs) < 0.875
    assert_checked(found, network, x)


def test_channels_of_a_pixel_change_together() -> None:
    network, x = NETWORKS["conv_avgpool"]()
    x = x.clamp(0, 1)
    found = sparse_attack(network, x, domain=UNIT, pixels=True)
    differs = (found.inputs != x).any(1).flatten(1).sum(1)
    assert torch.equal(differs, found.changed)
    single = sparse_attack(network, x, domain=UNIT)
    assert not bool((single.success & ~found.success).any())


def test_a_tie_is_no_success() -> None:
    # both logits are equal at the only other end
    network = from_layers([([[1.0]], None), ([[1.0], [0.0]], [0.0, 1.0])])
    found = sparse_attack(network, [[0.0]], domain=UNIT)
    assert found.verdict == ("undecided",)
    assert found.changed.tolist() == [0]
    assert float(found.margin) == 1.0


def test_what_is_misclassified_needs_no_change() -> None:
    network, x = tiny(4)
    labels = replayed(network, x)[network.output].argmin(1)
    found = sparse_attack(network, x, labels=labels, domain=UNIT)
    assert set(found.verdict) == {"misclassified"}
    assert not found.changed.any()
    assert not found.excluded.any()


def test_sensitivity_changes_the_most_sensitive_entries() -> None:
    network, x = tiny(12)
    first, second = (network.nodes[i].terms[0].map.to_dense() for i in (1, 3))
    table = second.abs() @ first.abs()
    for target in (None, 1):
        found = sparse_attack(
            network,
            x,
            k=2,
            domain=UNIT,
            method="sensitivity",
            targets=target,
            labels=torch.zeros(5, dtype=torch.int64),
        )
        assert_checked(found, network, x, k=2)
        row = table[0 if target is None else target]
        top = set(row.topk(2).indices.tolist())
        for i in range(len(x)):
            places = (found.inputs[i] != x[i]).nonzero().flatten().tolist()
            assert set(places) <= top
    few = sparse_attack(network, x, k=6, domain=UNIT, method="sensitivity", draws=1)
    many = sparse_attack(network, x, k=6, domain=UNIT, method="sensitivity", draws=64)
    assert int(many.success.sum()) >= int(few.success.sum())


@pytest.mark.parametrize("k", [0, -1, 7])
def test_a_budget_outside_the_entries_is_refused(k: int) -> None:
    network, x = tiny(0)
    with pytest.raises(InvalidArgumentError, match=rf"k={k}.* at most 6"):
        sparse_attack(network, x, k=k, domain=UNIT)


def test_refusals_say_what_is_wrong() -> None:
    network, x = tiny(0)
    with pytest.raises(InvalidArgumentError, match="low must not exceed high"):
        sparse_attack(network, x, domain=Box(1, 0))
    with pytest.raises(InvalidArgumentError, match="outside the domain"):
        sparse_attack(network, x, domain=Box(0, 0.1))
    with pytest.raises(InvalidArgumentError, match="has no domain"):
        sparse_attack(network, x)
    with pytest.raises(InvalidArgumentError, match="bound is infinite"):
        sparse_attack(network, x, domain=Box(0, torch.inf))
    with pytest.raises(InvalidArgumentError, match=r"shape is \[4\], and \[5\]"):
        sparse_attack(network, x, labels=[0] * 4, domain=UNIT)
    with pytest.raises(InvalidArgumentError, match="go from 0 to 3"):
        sparse_attack(network, x, labels=[0, 1, 2, 3, 0], domain=UNIT)
    with pytest.raises(InvalidArgumentError, match="whole numbers"):
        sparse_attack(network, x, labels=[0.5] * 5, domain=UNIT)
    with pytest.raises(InvalidArgumentError, match="targets are the labels"):
        sparse_attack(network, x, labels=[0] * 5, targets=0, domain=UNIT)


def test_refusals_of_methods_and_shapes() -> None:
    network, x = tiny(0)
    with pytest.raises(InvalidArgumentError, match="k=None"):
        sparse_attack(network, x, method="sensitivity", domain=UNIT)
    with pytest.raises(InvalidArgumentError, match="draws=0"):
        sparse_attack(network, x, k=1, method="sensitivity", draws=0, domain=UNIT)
    with pytest.raises(InvalidArgumentError, match="the methods are"):
        sparse_attack(network, x, method="magic", domain=UNIT)
    with pytest.raises(InvalidArgumentError, match="channels, height, width"):
        sparse_attack(network, x, pixels=True, domain=UNIT)
    with pytest.raises(ShapeError):
        sparse_attack(network, x[0], domain=UNIT)
    with pytest.raises(ShapeError):
        sparse_attack(network, x, domain=Box(torch.zeros(4), torch.ones(4)))
    with pytest.raises(NotFiniteError):
        sparse_attack(network, x * torch.nan, domain=UNIT)
    with pytest.raises(InvalidArgumentError, match="at least 2 classes"):
        sparse_attack(from_layers([([[1.0]], None)]), [[0.5]], domain=UNIT)


def test_no_inputs_and_fixed_entries() -> None:
    network, x = tiny(0)
    assert len(sparse_attack(network, x[:0], domain=UNIT)) == 0
    still = sparse_attack(network, x[:1], domain=Box(x[0], x[0]))
    assert still.verdict == ("undecided",)
    low, high = x[0].clone(), x[0].clone()
    low[0], high[0] = 0.0, 1.0
    one = sparse_attack(network, x[:1], domain=Box(low, high))
    assert set((one.inputs != x[:1]).nonzero()[:, 1].tolist()) <= {0}
