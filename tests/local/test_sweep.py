import pytest
import torch
from networks import NETWORKS, conv, dense, finish, flat, relu, start, whole, windows
from oracles import group_lists, jacobian

from relulens.graph.freeze import freeze
from relulens.graph.groups import Groups
from relulens.graph.network import Network
from relulens.graph.nodes import Maximum, TwoSlope
from relulens.importers.builder import with_batch
from relulens.local.packing import plan
from relulens.local.reach import coloured, conflicts, reaches
from relulens.local.row_norms import row_norms


def large() -> Network:
    """A network whose columns can be packed: kernels far smaller than the image."""
    build, x = start(2, 12, 12)
    y = relu(build, "relu1", conv(build, "conv1", x, 3, windows((3, 3), 1, 1), seed=1))
    groups = Groups.of_windows(y.shape, windows((2, 2), 2))
    y = build.maximum("pool", y, groups, with_batch(groups.out_shape), operation="pool")
    y = relu(build, "relu2", conv(build, "conv2", y, 2, windows((3, 3), 1), seed=2))
    return finish(build, dense(build, "head", flat(build, "flat", y), 2, seed=3))


def arguments(network: Network) -> dict[int, list[int]]:
    """Return the maxima that read each node that a nonlinear one reads."""
    found: dict[int, list[int]] = {}
    for index, node in network.nonlinear():
        readers = found.setdefault(node.source, [])
        if isinstance(node, Maximum):
            readers.append(index)
    return found


@pytest.mark.parametrize("name", ["large", "max_pool", "ragged_max_pool", "residual"])
@pytest.mark.parametrize("shrink", [False, True])
def test_norms_of_packed_columns_are_those_of_the_jacobian(
    name: str, shrink: bool
) -> None:
    if name == "large":
        network, x = large(), whole(2, 2, 12, 12, seed=4)
    else:
        network, x = NETWORKS[name]()
    x = x + whole(*x.shape, seed=31, most=1000) / 1024
    read = arguments(network)
    frozen = freeze(network, x, network.output)
    steps = plan(network, 0, network.output, set(read), joint=read, shrink=shrink)
    found = row_norms(frozen, steps, [i for i, _ in network.nonlinear()])
    for source, maxima in read.items():
        rows = jacobian(network, x, source)
        assert torch.allclose(found.entries[source], rows.norm(dim=2), atol=1e-12)
        for index in maxima:
            node = network.nodes[index]
            for group, entries in enumerate(group_lists(node.groups)):
                winner = frozen.gates[index].flatten(1)[:, group]
                best = rows[torch.arange(len(x)), winner]
                wanted = (best[:, None] - rows[:, entries]).norm(dim=2)
                got = found.leads[index][:, group, : len(entries)]
                assert torch.allclose(got, wanted, atol=1e-12)


def test_packing_needs_fewer_columns() -> None:
    network = large()
    read = arguments(network)
    steps = plan(network, 0, network.output, set(read), joint=read)
    first = steps[0]
    assert first.colours < 36
    assert [step.stop for step in steps] == sorted(step.stop for step in steps)


def test_no_position_reads_two_of_one_colour() -> None:
    network = large()
    watched = [i for i, node in network.nonlinear() if isinstance(node, TwoSlope)]
    tables = reaches(network, 0, watched)
    assert tables is not None
    for table in tables.values():
        colour = coloured(conflicts(table))
        for row in table:
            used = colour[row]
            assert len(used.unique()) == len(used)


def test_reach_holds_every_entry_of_the_jacobian() -> None:
    network = large()
    x = whole(1, 2, 12, 12, seed=5)
    for index in (3, 4):
        tables = reaches(network, 0, [index])
        assert tables is not None
        shape = network.nodes[index].shape
        rows = jacobian(network, x, index).abs().amax(0)
        used = rows.reshape(shape[0], -1, 2, 144).amax((0, 2)) > 0
        assert not bool((used & ~tables[index]).any())
