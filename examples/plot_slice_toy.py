"""A toy partition, layer by layer and over epochs
===============================================

Two inputs, 45 and 3 ReLUs, 4 classes: all linear regions of the first layer, of the
second alone, of both, and how they move while the network is trained.
"""

# %%
# Four classes, arms of a spiral; a recorder is called at every epoch.
from functools import partial
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import torch
from torch import nn

import relulens as rl
from relulens.regions.layer_pieces import layer_pieces

torch.manual_seed(0)
y = torch.arange(800) % 4
radius, noise = torch.rand(800) * 2 + 0.2, 0.15 * torch.randn(800)
x = torch.view_as_real(torch.polar(radius, torch.pi / 2 * y + 0.8 * radius + noise))
module = nn.Sequential(
    nn.Linear(2, 45), nn.ReLU(), nn.Linear(45, 3), nn.ReLU(), nn.Linear(3, 4)
)
network = rl.from_torch(module, x[:2])
plane = rl.Plane([0, 0], [[1, 0], [0, 1]])
domain = [[-2.5, -2.5], [2.5, -2.5], [2.5, 2.5], [-2.5, 2.5]]
recorder = rl.training.SliceRecorder(
    follow=partial(rl.refresh, network), plane=plane, domain=domain, every=20
)
optimiser = torch.optim.Adam(module.parameters(), 5e-3)
for epoch in range(121):
    recorder(module, epoch)
    for rows in torch.randperm(800).split(100):
        optimiser.zero_grad()
        nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
        optimiser.step()

# %%
# The first layer cuts along lines, the second along bent ones: its own pieces need not
# be convex, and those of both layers together are.
trained = rl.refresh(network, module)
both = rl.slice_partition(trained, plane, domain)
print(both, "after each layer:", both.counts, layer_pieces(both, 1))
figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
rl.plot.layer_pieces(both, 0, axes[0]).set_title("layer 1")
rl.plot.layer_pieces(both, 1, axes[1]).set_title("layer 2 alone")
rl.plot.partition(both, axes[2], colour="none").set_title("layers 1 and 2")

# %%
# The frames side by side; ``partition_film`` puts them into a file that plays.
figure, axes = plt.subplots(1, 4, figsize=(13, 3.6), layout="constrained")
for frame, ax in zip(recorder.frames[::2], axes, strict=True):
    rl.plot.partition(frame, ax).set_title(f"epoch {frame.step}: {frame.count} cells")
with TemporaryDirectory() as folder:
    film = rl.plot.partition_film(recorder.frames, f"{folder}/epochs.gif")
    print(f"a film of {len(recorder.frames)} frames, {film.stat().st_size} bytes")
