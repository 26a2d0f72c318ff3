"""Training terms against definitions written out."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import nn

from relulens.errors import InvalidArgumentError
from relulens.training import project_rows, random_state_penalty, template_orthogonality


def small():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4)
    ).double()


def test_last_layer_form_by_loops():
    module = small()
    rows = module[3].weight
    wanted = sum((rows[i] @ rows[j]) ** 2 for i in range(4) for j in range(4) if i != j)
    torch.testing.assert_close(template_orthogonality(module), wanted)


def test_input_form_by_autograd_jacobian():
    module, x = small(), torch.rand(3, 1, 4, 4, dtype=torch.float64)
    total = 0.0
    for point in x:
        rows = torch.autograd.functional.jacobian(lambda z: module(z[None])[0], point)
        gram = rows.flatten(1) @ rows.flatten(1).T
        total += (gram - gram.diag().diag()).square().sum()
    wanted = total / (3 * 16)
    found = template_orthogonality(module, x, form="input_templates")
    torch.testing.assert_close(found, wanted)
    found.backward()
    assert module[0].weight.grad.abs().sum() > 0


def test_orthogonal_rows_cost_nothing():
    module = nn.Linear(4, 4, bias=False).double()
    module.weight.data = 3.0 * torch.eye(4, dtype=torch.float64)
    assert template_orthogonality(module).item() == 0.0
    assert template_orthogonality(module, normalise=True).item() == 0.0


def test_forms_are_refused_where_they_mean_nothing():
    with pytest.raises(InvalidArgumentError, match="0 convolutions"):
        template_orthogonality(nn.Linear(2, 2), form="filters")
    with pytest.raises(InvalidArgumentError, match="0 inputs"):
        template_orthogonality(nn.Linear(2, 2), form="input_templates")
    with pytest.raises(InvalidArgumentError, match="0 dense"):
        template_orthogonality(nn.ReLU())


@given(seed=st.integers(0, 1000), radius=st.floats(0.1, 3.0))
def test_projection_is_feasible_and_nearest(seed, radius):
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(1, 5, generator=generator, dtype=torch.float64)
    w = torch.rand(5, generator=generator, dtype=torch.float64) + 0.5
    p = project_rows(a, radius, weights=w)
    assert float((p.abs() * w).sum()) <= radius * (1 + 1e-12)
    # Any feasible point makes an obtuse angle: check against an independent solver.
    split = minimize(
        lambda v: 0.5 * ((v[:5] - v[5:] - a[0].numpy()) ** 2).sum(),
        np.zeros(10),
        jac=lambda v: np.concatenate([
            v[:5] - v[5:] - a[0].numpy(),
            -(v[:5] - v[5:] - a[0].numpy()),
        ]),
        bounds=[(0, None)] * 10,
        constraints={
            "type": "ineq",
            "fun": lambda v: radius - w.numpy() @ (v[:5] + v[5:]),
        },
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    best = float(0.5 * (p - a).square().sum())
    assert best <= split.fun + 1e-7


def test_rows_inside_the_ball_stay():
    a = torch.tensor([[0.1, -0.2], [3.0, 4.0]])
    p = project_rows(a, 1.0)
    assert torch.equal(p[0], a[0])
    assert p[1].tolist() == [0.0, 1.0]
    with pytest.raises(InvalidArgumentError, match="radius"):
        project_rows(a, 0.0)


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_random_state_penalty_is_half_the_hessian_trace(loss):
    rnn = nn.RNN(2, 5, nonlinearity="relu", batch_first=True).double()
    head, x = nn.Linear(5, 3).double(), torch.randn(2, 4, 2, dtype=torch.float64)
    labels, wanted = torch.tensor([0, 2]), torch.randn(2, 3, dtype=torch.float64)

    def output(h):
        return head(rnn(x, h[None])[0][:, -1])

    def total(h):
        if loss == "cross_entropy":
            return nn.functional.cross_entropy(output(h), labels)
        return 0.5 * (output(h) - wanted).square().sum(1).mean()

    h0 = torch.rand(2, 5, dtype=torch.float64)
    trace = torch.autograd.functional.hessian(total, h0).reshape(10, 10).trace()
    found = random_state_penalty(output, h0, deviation=0.3, loss=loss)
    torch.testing.assert_close(found, 0.5 * 0.09 * trace)


def test_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="hinge"):
        random_state_penalty(lambda h: h, torch.zeros(1, 2), deviation=1, loss="hinge")
