"""One slice under three ways of training
======================================

The same architecture from the same start on the same digits, trained plainly, with
weight decay and on adversarial inputs; then the slice through the same three test
images of each, with all its linear regions.
"""

# %%
# Adversarial inputs are one signed gradient step of 0.1, in pixels from 0 to 1.
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn

import relulens as rl
from relulens.regions.cell_values import cell_values

torch.set_num_threads(1)
digits = load_digits()
x, y = torch.tensor(digits.data / 16).float(), torch.tensor(digits.target)
loss = nn.functional.cross_entropy


def attacked(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(module(leaf), y), leaf)
    return (x + 0.1 * slope.sign()).clamp(0, 1)


def trained(regime: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    hidden = nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()
    module = nn.Sequential(*hidden, nn.Linear(64, 10))
    decay = 0.3 if regime == "weight decay" else 0.0
    optimiser = torch.optim.AdamW(module.parameters(), 3e-3, weight_decay=decay)
    for rows in torch.cat([torch.randperm(1200) for _ in range(25)]).split(100):
        attack = regime == "adversarial"
        given = attacked(module, x[rows], y[rows]) if attack else x[rows]
        optimiser.zero_grad()
        loss(module(given), y[rows]).backward()
        optimiser.step()
    return module


# %%
# Each count is exact, but counts differ more between seeds than between regimes here;
# the mean slope along the slice is what both regimes lower with every seed.
images = torch.stack([x[1200:][y[1200:] == digit][0] for digit in (1, 4, 7)])
plane, corners = rl.Plane.through(*images), [[0, 0], [1, 0], [0, 1]]
figure, axes = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained")
for regime, ax in zip(("plain", "weight decay", "adversarial"), axes, strict=True):
    for module in (trained(regime, seed) for seed in range(3)):
        found = rl.slice_partition(rl.from_torch(module, x[:2]), plane, corners)
        slope = cell_values(found).slope_norm @ found.areas / found.areas.sum()
        right = (module(x[1200:]).argmax(1) == y[1200:]).double().mean()
        print(f"{regime}: {found.count} cells, slope {slope:.1f}, accuracy {right:.3f}")
    rl.plot.partition(found, ax, marks=[(0, 0, "1"), (1, 0, "4"), (0, 1, "7")])
    ax.set_title(f"{regime}: {found.count} cells")
