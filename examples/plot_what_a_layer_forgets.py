"""What a ReLU layer forgets
=========================

For every image, the features of a layer fix the image (a singleton), leave a bounded
set of images, or an unbounded one: the three phases of Behrmann's talk. Both matter,
how many units are positive and what their weights are. On MNIST, from a folder with
its IDX files: ``python scripts/mnist_verdicts.py FOLDER``.
"""

# %%
# Three networks with sparser and sparser hidden layers, and three as initialised.
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn

import relulens as rl

digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 16
labels = torch.tensor(digits.target)


def trained(sparsity: float, epochs: int, width: int = 220) -> rl.Network:
    torch.manual_seed(0)
    hidden = nn.Sequential(nn.Linear(64, width), nn.ReLU())
    module = nn.Sequential(*hidden, nn.Linear(width, 10))
    optimiser = torch.optim.Adam(module.parameters(), lr=3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            loss = nn.functional.cross_entropy(module(x[batch]), labels[batch])
            loss = loss + sparsity * hidden(x[batch]).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return rl.from_torch(module.eval(), x[:2])


groups = {
    "trained": [trained(sparsity, 12) for sparsity in (0.0, 1.0, 3.0)],
    "random weights": [trained(0.0, 0, width) for width in (90, 130, 220)],
}

# %%
# The verdicts on 40 images each, among all inputs and among images with valid pixels.
figure, axes = plt.subplots(2, 2, figsize=(11, 6), layout="constrained")
for row, (name, networks) in zip(axes, groups.items(), strict=True):
    for ax, domain in zip(row, (None, rl.Box(0, 1)), strict=True):
        found = [
            result
            for network in networks
            for result in rl.preimage(network, x[:40], layer=0, domain=domain)
        ]
        verdicts = [result.verdict for result in found]
        active = [result.active for result in found]
        rl.plot.verdict_histogram(active, verdicts, ax=ax, columns=64)
        where = "all inputs" if domain is None else "pixels in [0, 1]"
        ax.set_title(f"{name}, {where}")
        print(name, domain, {v: verdicts.count(v) for v in sorted(set(verdicts))})
