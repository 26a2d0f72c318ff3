"""Recorded slices against slices cut by hand, and the module left alone."""

from functools import partial

import pytest
import torch
from torch import nn

import relulens as rl
from relulens.errors import InvalidArgumentError, NotPolyhedralError
from relulens.training import SliceRecorder

SQUARE = [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]
PLANE = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])


def small(last=nn.ReLU):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(2, 8), nn.BatchNorm1d(8), last(), nn.Dropout(0.5), nn.Linear(8, 3)
    )


def recorder_of(module, **options):
    network = rl.from_torch(module, torch.zeros(2, 2))
    follow = partial(rl.refresh, network)
    return SliceRecorder(follow=follow, plane=PLANE, domain=SQUARE, **options)


def test_frames_are_the_slices_of_those_moments():
    module = small()
    recorder = recorder_of(module, every=5)
    optimiser = torch.optim.SGD(module.parameters(), 0.5)
    x, y = torch.randn(30, 2), torch.arange(30) % 3
    wanted = {}
    for step in range(12):
        if step % 5 == 0:
            network = rl.from_torch(module, torch.zeros(2, 2))
            wanted[step] = rl.slice_partition(network, PLANE, SQUARE)
        frame = recorder(module.train(), step)
        assert (frame is None) == (step % 5 > 0)
        optimiser.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        optimiser.step()
    assert [frame.step for frame in recorder.frames] == [0, 5, 10]
    for frame in recorder.frames:
        slice_ = wanted[frame.step]
        assert torch.equal(frame.vertices, slice_.vertices)
        assert frame.counts == slice_.counts
    first, *_, last = recorder.frames
    assert first.vertices.shape != last.vertices.shape or not torch.equal(
        first.vertices, last.vertices
    )
    assert recorder.bytes == sum(frame.bytes for frame in recorder.frames) > 0


def test_the_module_is_left_alone():
    module = small().train()
    x = torch.randn(6, 2)
    module(x).sum().backward()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    slopes = [p.grad.clone() for p in module.parameters()]
    recorder = recorder_of(module)
    state = torch.get_rng_state()
    recorder(module, 0)
    assert module.training
    assert all(part.training for part in module.modules())
    assert torch.equal(torch.get_rng_state(), state)
    after = module.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    for slope, p in zip(slopes, module.parameters(), strict=True):
        assert torch.equal(slope, p.grad)


def test_layers_are_passed_on():
    module = nn.Sequential(
        nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2)
    )
    whole, first = (
        recorder_of(module, **options)(module, 0) for options in ({}, {"layers": 0})
    )
    assert first.count == whole.counts[0]
    assert len(first.counts) == 1 < len(whole.counts)


def test_every_zero_steps_and_smooth_modules_are_refused():
    with pytest.raises(InvalidArgumentError, match="every 0 steps"):
        recorder_of(small(), every=0)
    module = small(nn.Tanh)
    with pytest.raises(NotPolyhedralError):
        recorder_of(module)(module, 0)
