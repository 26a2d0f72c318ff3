"""Values of cells against Jacobians, and pieces of one layer against sampling."""

import pytest
import torch
from torch import nn

import relulens as rl
from relulens.errors import InvalidArgumentError, UnknownNameError
from relulens.regions.cell_values import cell_values
from relulens.regions.class_parts import class_parts
from relulens.regions.frame import edge_depth, slice_frame
from relulens.regions.layer_pieces import layer_pieces

SQUARE = [[-2.0, -2.0], [2.0, -2.0], [2.0, 2.0], [-2.0, 2.0]]


def bent():
    """relu(x), relu(y), then relu(x+ + y+ - 1): one bent line in the second layer."""
    first = ([[1.0, 0.0], [0.0, 1.0]], None)
    network = rl.from_layers([first, ([[1.0, 1.0]], [-1.0]), ([[1.0]], None)])
    plane = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    return rl.slice_partition(network, plane, SQUARE)


def image_slice():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 4)
    ).double()
    x = torch.rand(3, 1, 6, 6, dtype=torch.float64)
    with torch.no_grad():
        module[-1].bias -= module(x).mean(0)
    plane = rl.Plane(x[0], torch.stack([2 * (x[1] - x[0]), x[2] - x[0]]))
    network = rl.from_torch(module, x)
    return module, rl.slice_partition(network, plane, [[-6, -6], [9, -6], [-6, 9]])


def test_values_and_slope_norms_are_those_of_the_module():
    module, partition = image_slice()
    found = cell_values(partition)
    plane = partition.plane
    frame, _ = torch.linalg.qr(plane.directions.flatten(1).T)
    x = plane.points(partition.centres)
    for cell in range(0, partition.count, 7):
        jacobian = torch.autograd.functional.jacobian(module, x[cell : cell + 1])
        slope = jacobian.reshape(4, 36) @ frame
        wanted = torch.linalg.matrix_norm(slope, 2)
        torch.testing.assert_close(found.slope_norm[cell], wanted)
    torch.testing.assert_close(found.output, module(x).detach())
    assert torch.equal(found.prediction, module(x).argmax(1))


def test_slope_norms_ignore_how_long_and_slanted_the_directions_are():
    partition = bent()
    other = rl.Plane([0.0, 0.0], [[3.0, 0.0], [1.0, 0.5]])
    corners = other.coordinates(torch.tensor(SQUARE).double())
    slanted = rl.slice_partition(partition.network, other, corners)
    first, second = (
        cell_values(p).slope_norm.sort().values for p in (partition, slanted)
    )
    torch.testing.assert_close(first, second)


def test_norms_by_hand():
    norms = cell_values(bent()).slope_norm.sort().values
    root = 2**0.5
    # one quadrant on and above 1: 1 in each single direction, root 2 in both
    wanted = torch.tensor([0.0] * (len(norms) - 3) + [1.0, 1.0, root]).double()
    torch.testing.assert_close(norms, wanted)


def test_a_deeper_layer_alone_has_a_piece_that_is_not_convex():
    partition = bent()
    assert partition.count == 7
    found = layer_pieces(partition, 1)
    assert (found.count, found.patterns, found.convex.sum()) == (2, 2, 1)
    sizes = [float(partition.areas[found.piece == k].sum()) for k in range(found.count)]
    # below the bent line x+ + y+ = 1: 4 + 2 + 2 + 1/2, which is convex
    assert sorted(sizes) == pytest.approx([7.5, 8.5])
    assert sizes[int(found.convex.nonzero())] == pytest.approx(8.5)
    first = layer_pieces(partition, 0)
    assert (first.count, int(first.convex.sum())) == (4, 4)


def test_a_pattern_can_have_two_pieces():
    # relu(x) + relu(-x) - 1 is positive left and right of a band
    layers = [([[1.0, 0.0], [-1.0, 0.0]], None), ([[1.0, 1.0]], [-1.0])]
    network = rl.from_layers([*layers, ([[1.0]], None)])
    plane = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    found = layer_pieces(rl.slice_partition(network, plane, SQUARE), 1)
    assert (found.count, found.patterns) == (3, 2)
    assert found.convex.all()


def test_zero_on_a_region_is_off_and_its_neighbours_are_on():
    # without biases the second unit's border is the first layer's
    network = rl.from_layers([([[1.0, 0.0]], None), ([[1.0]], None), ([[1.0]], None)])
    plane = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    found = layer_pieces(rl.slice_partition(network, plane, SQUARE), 1)
    assert (found.count, found.patterns) == (2, 2)


def test_layers_that_were_not_cut_by_are_refused():
    partition = bent()
    only = rl.slice_partition(partition.network, partition.plane, SQUARE, layers=0)
    with pytest.raises(InvalidArgumentError, match="4 cells were cut by layers"):
        layer_pieces(only, 1)
    with pytest.raises(UnknownNameError):
        layer_pieces(partition, "nothing")


def test_parts_by_class_tile_the_cells_in_which_it_changes():
    module, partition = image_slice()
    parts = class_parts(partition)
    assert len(parts) > 0
    areas = torch.zeros(partition.count).double()
    for part in range(len(parts)):
        start, stop = parts.offsets[part : part + 2].tolist()
        corners = parts.corners[start:stop]
        x, y = corners.T
        area = (x * y.roll(-1) - y * x.roll(-1)).sum() / 2
        assert area >= 0
        areas[parts.cells[part]] += area
        inside = partition.plane.points(corners.mean(0, keepdim=True))
        lead = module(inside)[0]
        assert lead.max() - lead[parts.outputs[part]] < 1e-12
    divided = areas > 0
    torch.testing.assert_close(areas[divided], partition.areas[divided])
    # elsewhere all corners agree
    best = module(partition.plane.points(partition.vertices)).argmax(1)
    for cell in (~divided).nonzero().flatten().tolist():
        start, stop = partition.offsets[cell : cell + 2].tolist()
        assert len(best[partition.indices[start:stop]].unique()) == 1


def test_a_class_that_wins_at_no_corner_has_its_part_and_its_borders():
    # x, -x and 1/2: the last one is the largest in a strip through the middle
    layers = [([[1.0, 0.0], [-1.0, 0.0]], [3.0, 3.0])]
    last = ([[0.5, -0.5], [-0.5, 0.5], [0.0, 0.0]], [0.0, 0.0, 0.5])
    network = rl.from_layers([*layers, last])
    plane = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    partition = rl.slice_partition(network, plane, SQUARE)
    assert partition.count == 1
    parts = class_parts(partition)
    assert sorted(parts.outputs.tolist()) == [0, 1, 2]
    ends = partition.decision_segments.ends
    assert sorted(ends[:, 0, 0].tolist()) == [-0.5, 0.5]


def test_a_frame_has_the_partition_s_polygons_and_nothing_else():
    _, partition = image_slice()
    frame = slice_frame(partition, step=3)
    assert (frame.step, len(frame)) == (3, partition.count)
    for shown, cell in zip(frame.polygons(), partition.polygons(), strict=True):
        assert torch.equal(shown, cell)
    assert torch.equal(frame.decisions, partition.decision_segments.ends)
    assert frame.counts == partition.counts
    assert frame.bytes < 100 * frame.count
    assert "network" not in type(frame).__slots__


def test_depth_is_the_deepest_of_a_cell_s_edges():
    partition = bent()
    depth = edge_depth(partition)
    for cell in range(partition.count):
        start, stop = partition.offsets[cell : cell + 2].tolist()
        edges = partition.cell_edges[start:stop]
        assert depth[cell] == int(partition.edge_layer[edges].max())


def test_layers_alone_and_single_outputs_have_frames():
    partition = bent()
    assert partition.network.output_size == 1
    # the output is never negative, so it has no sign change
    assert slice_frame(partition).decisions.shape == (0, 2, 2)
    only = rl.slice_partition(partition.network, partition.plane, SQUARE, layers=0)
    assert slice_frame(only).decisions.shape == (0, 2, 2)
    assert len(slice_frame(only)) == 4
