"""Shadow batches against transposes written out, and the module left alone."""

from importlib.util import find_spec

import pytest
import torch
from torch import nn
from torch.nn import functional

from relulens.errors import InvalidArgumentError, UnknownNameError
from relulens.training import ShadowTraining, shadow_batch
from relulens.training.lightning import shadow_callback


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 25), nn.Linear(25, 8)

    def forward(self, x):
        return functional.relu(self.second(torch.relu(self.first(x))))


def test_two_layers_by_hand():
    module = Functional().double()
    x = torch.rand(3, 6, dtype=torch.float64)
    w1, w2 = module.first.weight.detach(), module.second.weight.detach()
    h = module(x).detach()
    back = h @ w2
    middle = torch.relu(back * 2 * h.square().sum() / back.square().sum())
    back = middle @ w1
    wanted = torch.relu(back * 2 * middle.square().sum() / back.square().sum())
    made = shadow_batch(module, x, torch.arange(3), seed=0, keep=1.0, match_norms=False)
    torch.testing.assert_close(made.x, wanted)
    assert made.y.tolist() == [0, 1, 2]
    assert not made.x.requires_grad


def test_norms_match_and_dropout_drops():
    module = Functional()
    x = torch.rand(200, 6)
    made = shadow_batch(module, x, torch.zeros(200), seed=0, keep=0.5).x
    assert made.norm(dim=1).mean().item() == pytest.approx(
        x.norm(dim=1).mean().item(), rel=1e-5
    )
    assert (made == 0).double().mean() > 0.4


def test_convolution_pooling_and_residual_modules_stay_as_they_were():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.conv = nn.BatchNorm2d(2), nn.Conv2d(2, 2, 3, padding=1)
            self.act = nn.ReLU(inplace=True)

        def forward(self, x):
            y = self.act(self.norm(x))
            return functional.max_pool2d(self.act(y + self.conv(y)), 2)

    module, x = Block().train(), torch.rand(4, 2, 6, 6)
    state = {k: v.clone() for k, v in module.state_dict().items()}
    made = shadow_batch(module, x, torch.zeros(4), layer="act.1", seed=1)
    assert made.x.shape == x.shape
    assert module.training
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())
    assert not module.act._forward_hooks


def test_seeds_repeat_and_differ():
    module, x, y = Functional(), torch.rand(5, 6), torch.zeros(5)
    first, again, other = (shadow_batch(module, x, y, seed=s).x for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_loss_starts_with_its_epoch():
    module, x, y = Functional(), torch.rand(5, 6), torch.arange(5) % 4
    plain = nn.CrossEntropyLoss()(module(x), y)
    step = ShadowTraining(loss=nn.CrossEntropyLoss(), weight=0.5, start=2)
    assert torch.equal(step(module, x, y, epoch=1, seed=0), plain)
    shadow = shadow_batch(module, x, y, seed=0)
    wanted = plain + 0.5 * nn.CrossEntropyLoss()(module(shadow.x), y)
    torch.testing.assert_close(step(module, x, y, epoch=2, seed=0), wanted)


def test_refusals():
    module, x, y = Functional(), torch.rand(5, 6), torch.zeros(5)
    with pytest.raises(UnknownNameError):
        shadow_batch(module, x, y, layer="nowhere", seed=0)
    with pytest.raises(InvalidArgumentError, match="0 activations"):
        shadow_batch(nn.Linear(6, 2), x, y, seed=0)
    with pytest.raises(InvalidArgumentError, match="kept"):
        shadow_batch(module, x, y, seed=0, keep=0.0)


def test_lightning_callback_says_what_is_missing():
    with pytest.raises(InvalidArgumentError, match="0-th"):
        shadow_callback(every=0)
    if find_spec("lightning") is None:
        with pytest.raises(InvalidArgumentError, match="lightning"):
            shadow_callback()
