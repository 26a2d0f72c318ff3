"""Descriptions of networks."""

import pandas as pd
import pytest
import torch
from networks import NETWORKS, POLYHEDRAL

from relulens.errors import (
    InvalidArgumentError,
    NotPolyhedralError,
    OffendingNode,
    UnsupportedOperationError,
)
from relulens.graph.describe import EXACT, describe
from relulens.graph.polyhedral import polyhedral
from relulens.importers.layers import from_layers


@pytest.fixture
def small():
    return from_layers([
        ([[1.0, 2.0], [-1.0, 0.0], [0.0, 3.0]], [1, 2, 3]),
        ([[1, 1, 1]], [0]),
    ])


def test_a_row_per_node(small):
    table = describe(small)
    assert isinstance(table, pd.DataFrame)
    assert table["name"].tolist() == ["input", "linear0", "relu0", "linear1"]
    assert table["kind"].tolist() == ["Input", "Affine", "TwoSlope", "Affine"]
    assert table["reads"].tolist() == ["", "input", "linear0", "relu0"]
    assert table["layer"].tolist() == ["", "", "relu0", ""]
    assert table["shape"].tolist() == ["[2]", "[3]", "[3]", "[1]"]
    # 3 * 2 weights and 3 biases, two slopes, 3 weights and one bias.
    assert table["coefficients"].tolist() == [0, 9, 2, 4]
    assert table["parameters"].tolist()[1] == "0.weight, 0.bias"
    assert "not compared" in "".join(table.attrs["lines"])


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_called_exact_is_what_polyhedral_questions_take(name):
    made = NETWORKS[name]()
    network = made[0] if isinstance(made, tuple) else made
    table = describe(network)
    assert len(table) == len(network.nodes)
    for index, exact in enumerate(table["exact"]):
        if index in network.ancestors(network.output):
            try:
                polyhedral(network, index)
            except NotPolyhedralError:
                assert exact != EXACT
            else:
                assert exact == EXACT
    assert (table["exact"].iloc[network.output] == EXACT) == (name in POLYHEDRAL)


def test_a_failed_import_is_described_up_to_the_failure(small):
    nodes = [OffendingNode(name="odd", operation="Det", reason="no rule")]
    table = describe(UnsupportedOperationError(nodes, small))
    assert table["kind"].tolist()[-1] == "unsupported"
    assert table["exact"].tolist()[-1] == "nothing: no rule"
    assert len(table) == len(small.nodes) + 1
    assert len(describe(UnsupportedOperationError(nodes))) == 1


def test_something_else_is_refused():
    with pytest.raises(InvalidArgumentError, match="Linear"):
        describe(torch.nn.Linear(1, 1))
