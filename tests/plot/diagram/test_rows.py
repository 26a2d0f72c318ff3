"""The diagram of a network: rows, links past rows, repeats."""

import pytest
import torch
from networks import NETWORKS, dense, finish, relu, start

from relulens.graph.maps import Convolution, Identity
from relulens.graph.maps.windows import Windows
from relulens.importers.layers import from_layers
from relulens.plot.diagram import Step, folded
from relulens.plot.diagram.labels import TIMES, map_label, shape_label
from relulens.plot.diagram.rows import network_rows


def square(count: int, width: int = 3):
    return [(torch.eye(width), torch.zeros(width))] * count


def test_a_plain_network_has_a_row_per_layer_and_no_links():
    diagram = folded(from_layers([(torch.ones(4, 2), None), (torch.ones(3, 4), None)]))
    words = [[step.label for step in row.steps] for row in diagram.rows]
    assert words == [["input"], ["dense 4", "ReLU"], ["dense 3"]]
    assert [row.layers for row in diagram.rows] == [(), (0,), ()]
    assert diagram.links == ()
    assert diagram.repeats == ()


def test_a_residual_link_passes_by_the_rows_between():
    network, _ = NETWORKS["residual"]()
    diagram = folded(network)
    assert diagram.links
    for link in diagram.links:
        assert link.end - link.start > 1
        assert any("add" in step.label for step in diagram.rows[link.end].steps)


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_hold_every_node_once_and_read_earlier_rows(name):
    network, _ = NETWORKS[name]()
    rows = network_rows(network)
    assert sorted(i for row in rows for i in row.layers) == list(
        range(len(network.layers))
    )
    for place, row in enumerate(rows):
        assert all(0 <= place + back < place for back in row.sources)
        assert row.steps
    assert rows[0].steps == (Step("input", "input"),)
    assert rows[-1].shape == network.output_shape


def test_equal_stretches_are_folded_and_counted():
    diagram = folded(from_layers([*square(7), (torch.ones(2, 3), None)]))
    assert diagram.repeats == ((1, 1, 7),)
    assert len(diagram.rows) == 3
    assert diagram.omitted is None


def test_two_equal_rows_are_not_worth_a_bracket():
    diagram = folded(from_layers([*square(2), (torch.ones(2, 3), None)]))
    assert diagram.repeats == ()
    assert len(diagram.rows) == 4


def test_a_row_that_something_reads_from_outside_is_not_folded_away():
    network, _ = NETWORKS["diamonds"]()
    diagram = folded(network)
    rows = network_rows(network)
    folded_rows = sum((b - a + 1) * (n - 1) for a, b, n in diagram.repeats)
    assert len(diagram.rows) + folded_rows == len(rows)


@pytest.mark.parametrize("read", [0, 1, 2, 3])
def test_a_stretch_is_folded_up_to_where_a_later_row_reads_it(read):
    build, x = start(3)
    blocks = [
        x := relu(build, f"relu{i}", dense(build, f"d{i}", x, 3)) for i in range(4)
    ]
    both = [(value, Identity(value.shape)) for value in (blocks[read], blocks[-1])]
    total = build.affine("total", both, None, x.dims)
    network = finish(build, dense(build, "head", total, 2))
    diagram = folded(network)
    hidden = sum((b - a + 1) * (n - 1) for a, b, n in diagram.repeats)
    assert len(diagram.rows) + hidden == len(network_rows(network))
    # the row that is read last is drawn, and the link to it too, unless it is next door
    ends = [link for link in diagram.links if link.end == len(diagram.rows) - 1]
    assert bool(ends) == (read < 3)
    assert bool(diagram.repeats) == (read in {0, 2, 3})


def test_a_long_diagram_says_how_many_rows_it_leaves_out():
    widths = range(2, 42)
    layers = [(torch.ones(w + 1, w), None) for w in widths]
    diagram = folded(from_layers(layers), most=10)
    assert len(diagram.rows) == 10
    assert diagram.omitted == (5, len(layers) + 1 - 10)
    assert diagram.rows[-1].shape == (42,)


def test_links_in_one_lane_do_not_overlap():
    network, _ = NETWORKS["diamonds"]()
    lanes: dict[int, list[tuple[int, int]]] = {}
    for link in folded(network).links:
        for a, b in lanes.get(link.lane, []):
            assert link.end <= a or b <= link.start
        lanes.setdefault(link.lane, []).append((link.start, link.end))


def test_labels_say_window_step_and_channels():
    windows = Windows((3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1))
    convolution = Convolution(torch.ones(8, 1, 3, 3), (1, 8, 8), windows)
    assert map_label(convolution) == "conv 3x3 step 2, 8".replace("x", TIMES)
    assert shape_label((3, 32, 32)) == "3 x 32 x 32".replace("x", TIMES)


def test_a_layer_of_several_nodes_is_one_step():
    network, _ = NETWORKS["clamp"]()
    rows = network_rows(network)
    words = [step.label for row in rows for step in row.steps]
    assert "ReLU" not in words
    assert "scale" not in words
    named = [layer.operation for layer in network.layers]
    assert [word for word in words if word in named] == named
