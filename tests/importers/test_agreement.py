"""The agreement check and the registry."""

import math

import pytest
import torch
from networks import NETWORKS
from torch import Tensor

import relulens.importers.aten  # noqa: F401  registers the rules
from relulens.errors import ImportMismatchError, InvalidArgumentError
from relulens.graph.domain import Box
from relulens.graph.evaluate import evaluate
from relulens.graph.network import Network
from relulens.importers import registry
from relulens.importers.agreement import (
    checked_agreement,
    relative_difference,
    sample_inputs,
)
from relulens.importers.layers import from_layers


@pytest.fixture
def network() -> Network:
    return from_layers([([[1.0, -2.0]], [0.5])])


def test_agreement_counts_batches_of_one_two_and_three(network: Network) -> None:
    seen: list[int] = []

    def reference(x: Tensor) -> Tensor:
        seen.append(len(x))
        return evaluate(network, x) * (1 + 1e-7)

    samples = sample_inputs((2,))
    found = checked_agreement(network, reference, samples, source="itself")
    assert seen == [1, 2, 3]
    assert (found.source, found.samples) == ("itself", 6)
    assert found.difference == pytest.approx(1e-7, rel=1e-5)
    with pytest.raises(ImportMismatchError) as caught:
        checked_agreement(network, reference, samples, source="itself", tolerance=1e-8)
    assert caught.value.tolerance == 1e-8
    assert "itself" in str(caught.value)


def test_a_reference_that_mixes_inputs_is_found(network: Network) -> None:
    def mixing(x: Tensor) -> Tensor:
        return evaluate(network, x - x.mean(0) + x[:1])

    with pytest.raises(ImportMismatchError):
        checked_agreement(network, mixing, sample_inputs((2,)), source="a mixer")


def test_differences_are_relative_and_strict_about_what_is_not_finite() -> None:
    ones = torch.ones(2, 2, dtype=torch.float64)
    assert relative_difference(ones * 10, ones * 8) == 0.25
    assert relative_difference(ones, ones[:, :1]) == math.inf
    nan = ones.clone()
    nan[0, 0] = math.nan
    assert relative_difference(nan, nan) == 0.0
    assert relative_difference(nan, ones) == math.inf
    assert relative_difference(ones, 0 * ones) == math.inf
    assert relative_difference(0 * ones, 0 * ones) == 0.0
    assert relative_difference(ones[:0], ones[:0]) == 0.0


def test_samples_are_distinct_and_inside_the_domain() -> None:
    example = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    samples = sample_inputs((2,), example=example)
    assert samples.shape == (3, 2)
    assert torch.equal(samples[0], example[0].double())
    assert len({tuple(row.tolist()) for row in samples}) == 3
    assert bool(((samples >= 1) & (samples <= 2)).all())
    boxed = sample_inputs((2,), domain=Box(5.0, 6.0))
    assert bool(((boxed >= 5) & (boxed <= 6)).all())
    constant = sample_inputs((2,), example=torch.full((1, 2), -4.0))
    assert bool(((constant >= -6) & (constant <= -2)).all())
    assert sample_inputs((2,), example=torch.zeros(1, 2))[1:].abs().max() > 0
    assert torch.equal(sample_inputs((3,)), sample_inputs((3,)))


def test_every_network_of_the_table_agrees_with_itself() -> None:
    for factory in NETWORKS.values():
        made, x = factory()
        samples = torch.cat([x, x, x])[:3]
        found = checked_agreement(
            made, lambda z, m=made: evaluate(m, z), samples, source="itself"
        )
        assert found.difference == 0.0


def test_rules_are_found_by_name_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_RULES", {})
    registry.register("toy", "op", "Affine", note="old")(lambda: 1)
    registry.register("toy", ("op", "other"), "Affine", since=7)(lambda: 2)

    def found(version: int | None) -> object:
        rule = registry.find("toy", "op", version)
        return None if rule is None else rule.apply()

    assert [found(1), found(6), found(7), found(None), found(0)] == [1, 1, 2, 2, None]
    assert registry.find("toy", "missing") is None
    assert registry.find("other", "op") is None
    assert [rule.operation for rule in registry.rules("toy")] == ["op", "op", "other"]
    table = registry.operations_table(registry.rules("toy"))
    assert "| `op` | Affine | old |" in table
    assert "| `op` (since 7) | Affine |" in table
    with pytest.raises(InvalidArgumentError, match="already"):
        registry.register("toy", "op", "Affine")(lambda: 3)
    with pytest.raises(InvalidArgumentError, match="kinds"):
        registry.register("toy", "new", "Magic")


def test_the_table_of_torch_operations_names_kinds() -> None:
    rules = {rule.operation: rule for rule in registry.rules("aten")}
    assert rules["relu"].kinds == ("TwoSlope",)
    assert rules["conv2d"].kinds == ("Affine",)
    assert rules["scaled_dot_product_attention"].kinds == ("Coupled",)
    assert len(rules) > 150
