"""Every architecture of the zoo: values, tangent maps and batch sizes against torch."""

from functools import cache

import pytest
import torch
from importers.torch_zoo import ZOO, Case
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from relulens.graph.evaluate import evaluate
from relulens.graph.freeze import freeze
from relulens.graph.network import Network
from relulens.graph.nodes import Affine, Coupled, Smooth
from relulens.graph.tangent import adjoint, tangent
from relulens.importers.torch_export import from_torch


@cache
def imported(name: str) -> tuple[Case, Network]:
    case = ZOO[name]()
    network = from_torch(
        case.module, case.example(), batch_axis=case.batch_axis, output=case.output
    )
    return case, network


def module_output(case: Case, x: Tensor) -> Tensor:
    """Return the module's chosen output for samples [N, *shape], N first."""
    outputs = pytree.tree_leaves(case.module(x.movedim(0, case.batch_axis)))
    result = outputs[case.output or 0]
    return result.movedim(case.batch_axis, 0)


def samples(case: Case, rows: int) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(rows, *case.shape, generator=generator, dtype=torch.float64)


def assert_close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-12) -> None:
    assert ours.shape == theirs.shape
    scale = max(float(theirs.abs().max()), 1e-3) if theirs.numel() else 1.0
    gap = float((ours - theirs).abs().max()) if theirs.numel() else 0.0
    assert gap <= tolerance * scale


@pytest.mark.parametrize("name", ZOO)
def test_values_follow_the_module_at_every_batch_size(name: str) -> None:
    case, network = imported(name)
    assert network.input_shape == case.shape
    for rows in (1, 2, 3, 5):
        x = samples(case, rows)
        with torch.no_grad():
            assert_close(evaluate(network, x), module_output(case, x))
    assert evaluate(network, samples(case, 0)).shape == (0, *network.output_shape)


@pytest.mark.parametrize("name", ZOO)
def test_tangent_maps_follow_autograd(name: str) -> None:
    case, network = imported(name)
    x = samples(case, 2)
    frozen = freeze(network, x, network.output)
    copies = 3
    generator = torch.Generator().manual_seed(1)
    shape = (2 * copies, *network.output_shape)
    weights = torch.randn(shape, generator=generator, dtype=torch.float64)
    directions = torch.randn(
        2 * copies, *case.shape, generator=generator, dtype=torch.float64
    )
    leaf = x.clone().requires_grad_()
    output = module_output(case, leaf)
    by_copy = weights.unflatten(0, (2, copies))
    rows = [
        torch.autograd.grad(output, leaf, by_copy[:, i], retain_graph=True)[0]
        for i in range(copies)
    ]
    theirs = torch.stack(rows, 1).flatten(0, 1)
    tolerance = 1e-7 if name == "hard" else 1e-12  # torch's own slope is float32
    assert_close(adjoint(frozen, weights), theirs, tolerance)
    pushed = tangent(frozen, directions)
    ours = (pushed * weights).flatten(1).sum(1)
    assert_close(ours, (directions * theirs).flatten(1).sum(1), tolerance)


@pytest.mark.parametrize("name", ZOO)
def test_kinds_are_those_expected(name: str) -> None:
    case, network = imported(name)
    curved = [n.name for n in network.nodes if isinstance(n, (Smooth, Coupled))]
    assert (not curved) == case.polyhedral


@pytest.mark.parametrize("name", ["mlp", "leaky", "maxout", "absolute"])
def test_whole_jacobian_of_small_networks(name: str) -> None:
    case, network = imported(name)
    x = samples(case, 3)
    size = network.input_size
    identity = torch.eye(size, dtype=torch.float64).reshape(size, *case.shape)
    frozen = freeze(network, x, network.output)
    ours = tangent(frozen, identity.repeat(3, *[1] * len(case.shape)))
    ours = ours.reshape(3, size, -1).mT
    for row in range(3):
        theirs = torch.autograd.functional.jacobian(
            lambda z: module_output(case, z[None])[0], x[row]
        )
        assert_close(ours[row], theirs.reshape(ours[row].shape))


@pytest.mark.parametrize("name", ["resnet", "lstm"])
def test_float32_modules_agree_in_both_types(name: str) -> None:
    case = ZOO[name]()
    module = case.module.float()
    single = torch.float32
    x = case.example().to(single)
    network = from_torch(module, x, batch_axis=case.batch_axis, output=case.output)
    agreement = network.provenance.agreement
    assert agreement is not None
    assert agreement.difference <= 1e-12
    assert agreement.source == "the torch module in float64"
    x = samples(case, 2).to(single)
    with torch.no_grad():
        theirs = module_output(case, x)
    gap = (evaluate(network, x) - theirs).abs().max()
    assert float(gap) <= 1e-5 * float(theirs.abs().max())


def test_network_type_is_chosen_once() -> None:
    case = ZOO["resnet"]()
    network = from_torch(case.module, case.example(), dtype=torch.float32)
    assert network.dtype == torch.float32
    biases = [n.bias for n in network.nodes if isinstance(n, Affine)]
    assert {b.dtype for b in biases if b is not None} == {torch.float32}


def test_half_precision_modules_import_in_double() -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.GELU(), nn.Linear(3, 2)).bfloat16()
    network = from_torch(module, torch.randn(2, 4, dtype=torch.bfloat16))
    agreement = network.provenance.agreement
    assert agreement is not None
    assert agreement.difference <= 1e-12
    assert "bfloat16" in network.provenance.notes[0]


def test_a_module_that_fixes_its_type_is_compared_in_it() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x.float()).relu()

    network = from_torch(Fixed(), torch.randn(2, 4))
    agreement = network.provenance.agreement
    assert agreement is not None
    assert agreement.source == "the torch module in float32"
    assert agreement.difference <= 1e-5
