"""Properties checked: against grids, with witnesses, and open ones left open."""

import numpy as np
import pytest
import torch
from networks import NETWORKS

import relulens as rl
from relulens.errors import InvalidArgumentError


def above(value, *, low=-1.0, high=1.0):
    """Say that output 0 minus output 1 never reaches a value on a box."""
    case = rl.PropertyCase(
        low=np.full(2, low),
        high=np.full(2, high),
        rows=np.array([[-1.0, 1.0]]),
        right=np.array([-value]),
    )
    return rl.Property(cases=(case,), inputs=2, outputs=2)


def largest(network):
    line = torch.linspace(-1, 1, 301, dtype=torch.float64)
    y = rl.evaluate(network, torch.cartesian_prod(line, line))
    return float((y[:, 0] - y[:, 1]).max())


def test_holds_just_above_the_maximum_and_fails_just_below():
    network, _ = NETWORKS["wide"]()
    most = largest(network)
    held = rl.check_property(network, above(most * 1.01), seconds=20)
    assert held.verdict == "holds"
    assert held.rigorous
    broken = rl.check_property(network, above(most * 0.99), seconds=20)
    assert broken.verdict == "violated"
    assert (broken.witness.abs() <= 1).all()
    y = rl.evaluate(network, broken.witness[None])[0]
    assert y[0] - y[1] >= most * 0.99
    assert torch.equal(y, broken.output)


def test_all_conditions_of_a_case_hold_together():
    network = rl.from_layers([([[1.0, 0.0], [0.0, 1.0]], None)])
    rows = np.array([[1.0, 0.0], [-1.0, 0.0]])
    case = rl.PropertyCase(
        low=np.zeros(2), high=np.ones(2), rows=rows, right=np.array([0.4, -0.6])
    )
    empty = rl.Property(cases=(case,), inputs=2, outputs=2)
    assert rl.check_property(network, empty).verdict == "holds"


def test_no_condition_is_violated_and_no_case_holds():
    network, _ = NETWORKS["wide"]()
    case = rl.PropertyCase(
        low=np.zeros(2), high=np.ones(2), rows=np.zeros((0, 2)), right=np.zeros(0)
    )
    made = rl.Property(cases=(case,), inputs=2, outputs=2)
    assert rl.check_property(network, made).verdict == "violated"
    none = rl.Property(cases=(), inputs=2, outputs=2)
    assert rl.check_property(network, none).verdict == "holds"


def test_what_the_budget_leaves_is_unknown():
    network, _ = NETWORKS["smooth"]()
    case = rl.PropertyCase(
        low=np.full(3, -3.0),
        high=np.full(3, 3.0),
        rows=np.eye(2)[:1],
        right=np.array([float(rl.evaluate(network, torch.zeros(1, 3))[0, 0]) - 1e9]),
    )
    made = rl.Property(cases=(case,), inputs=3, outputs=2)
    assert rl.check_property(network, made).verdict == "holds"
    wide, _ = NETWORKS["wide"]()
    found = rl.check_property(wide, above(largest(wide) * 1.0001), seconds=0.0)
    assert found.verdict == "unknown"
    assert found.case == 0
    assert "open" in found.reason


def test_another_size_is_refused():
    network, _ = NETWORKS["deep"]()
    with pytest.raises(InvalidArgumentError, match="2 inputs"):
        rl.check_property(network, above(1.0))
