"""Spectra around a ReLU, and the bounds that removed rows give."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from relulens.errors import InvalidArgumentError
from relulens.importers.layers import from_layers
from relulens.preimage.stability import stability


def layer(rows, bias=None):
    return from_layers([(rows, bias), (np.ones((1, len(rows))), None)])


def test_a_worked_example():
    # the row (1, 1) is removed and (2, 0) is left: |B a| = 2 and |P a| = 1
    found = stability(layer([[2.0, 0.0], [1.0, 1.0]]), [[1.0, -2.0]], layer=0)
    assert found.removed.tolist() == [[False, True]]
    assert found.direction_bound[0, 1] == 2
    assert found.smallest[0, 1] == 2
    assert found.bound[0] == 2
    assert found.rank.tolist() == [[2, 1]]
    # (1, 1) does not lie in the row space of (2, 0), so the lemma is silent
    assert torch.isnan(found.correlation_bound).all()
    assert found.effect.interlaces.tolist() == [True]


@given(st.integers(0, 10_000))
def test_bounds_hold_and_spectra_interlace(seed):
    generator = np.random.default_rng(seed)
    units, ins = generator.integers(2, 9, size=2)
    rows = generator.integers(-3, 4, size=(units, ins)).astype(float)
    x = generator.standard_normal((2, ins))
    found = stability(layer(rows), x, layer=0)
    for i in range(2):
        on = rows @ x[i] > 0
        values = np.linalg.svd(rows * on[:, None], compute_uv=False)
        nonzero = values[values > 1e-9]
        assert int(found.rank[i, 1]) == len(nonzero)
        if len(nonzero):
            assert float(found.smallest[i, 1]) == pytest.approx(nonzero[-1])
            assert float(found.bound[i]) >= nonzero[-1] * (1 - 1e-9)
            assert float(found.condition[i, 1]) == pytest.approx(
                nonzero[0] / nonzero[-1]
            )
        lemma, sharp = found.correlation_bound[i], found.direction_bound[i]
        both = ~torch.isnan(lemma) & ~torch.isnan(sharp)
        # the sharper bound is never above the lemma's, where both apply
        assert (sharp[both] <= lemma[both] * (1 + 1e-9)).all()
    assert found.effect.interlaces is not None
    assert found.effect.interlaces.all()


def test_no_inputs_and_no_rows_left():
    network = layer([[1.0, 0.0], [0.0, 1.0]])
    assert stability(network, np.zeros((0, 2)), layer=0).bound.shape == (0,)
    dead = stability(network, [[-1.0, -1.0]], layer=0)
    assert torch.isnan(dead.smallest[0, 1])
    assert torch.isinf(dead.bound[0])


def test_another_kind_of_layer_is_refused():
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh())
    import relulens as rl

    made = rl.from_torch(network.eval(), torch.zeros(2, 2))
    with pytest.raises(InvalidArgumentError, match="two slopes"):
        stability(made, np.zeros((1, 2)), layer=0)
