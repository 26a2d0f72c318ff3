"""Pieces of one layer beside a flood over cells and hulls by qhull."""

import numpy as np
import pytest
import torch
from networks import NETWORKS
from scipy.spatial import ConvexHull

import relulens as rl
from relulens.regions import layer_pieces as room
from relulens.regions.layer_pieces import layer_pieces

SQUARE = [[-2.0, -2.0], [2.0, -2.0], [2.0, 2.0], [-2.0, 2.0]]


def slice_of(name):
    network, _ = NETWORKS[name]()
    generator = torch.Generator().manual_seed(4)
    shape = network.input_shape
    origin = torch.randn(shape, generator=generator, dtype=torch.float64)
    directions = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    return rl.slice_partition(network, rl.Plane(origin, directions), SQUARE)


def flooded(partition, name):
    """Return lists of cells with one pattern of a layer, grown across edges."""
    codes = [
        tuple(partition.pattern(i)[name][0].tolist()) for i in range(len(partition))
    ]
    left, pieces = set(range(len(codes))), []
    while left:
        grown = [left.pop()]
        for cell in grown:
            near = [
                other
                for other in partition.neighbours(cell).tolist()
                if other in left and codes[other] == codes[cell]
            ]
            left.difference_update(near)
            grown += near
        pieces.append(sorted(grown))
    return sorted(pieces), len(set(codes))


@pytest.mark.parametrize("name", ["deep", "maximum_of_two", "clamp", "conv_avgpool"])
def test_pieces_are_those_of_a_flood(name, monkeypatch):
    monkeypatch.setattr(room, "_CELLS", 7)
    partition = slice_of(name)
    assert partition.count > 7
    for place in partition.layers:
        layer = partition.network.layers[place].name
        found = layer_pieces(partition, layer)
        wanted, patterns = flooded(partition, layer)
        assert found.patterns == patterns
        pieces = [torch.where(found.piece == k)[0].tolist() for k in range(found.count)]
        assert sorted(pieces) == wanted
        for cells, convex in zip(pieces, found.convex.tolist(), strict=True):
            corners = torch.cat([partition.polygon(cell) for cell in cells])
            hull = ConvexHull(corners.numpy()).volume
            assert convex == (hull < float(partition.areas[cells].sum()) * (1 + 1e-7))


def test_a_ring_is_not_convex_and_its_middle_is():
    # |x| + |y| - 1 is below 0 in a diamond.
    first = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    network = rl.from_layers([
        (first, None),
        (np.ones((1, 4)), [-1.0]),
        ([[1.0]], None),
    ])
    plane = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    partition = rl.slice_partition(network, plane, SQUARE)
    found = layer_pieces(partition, 1)
    sizes = [float(partition.areas[found.piece == k].sum()) for k in range(found.count)]
    assert sorted(sizes) == pytest.approx([2.0, 14.0])
    assert found.convex.tolist() == [size < 3 for size in sizes]


@pytest.mark.parametrize("name", ["maximum_of_two", "clamp"])
def test_codes_of_one_layer_are_those_of_all(name):
    partition = slice_of(name)
    cells = np.arange(partition.count)
    whole = partition.codes.patterns(cells)
    for layer in partition.network.layers:
        alone = partition.codes.patterns(cells, layer)
        assert list(alone) == [layer.name]
        assert torch.equal(alone[layer.name], whole[layer.name])
