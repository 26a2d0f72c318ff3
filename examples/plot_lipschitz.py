"""Lipschitz constants of small networks
=====================================

``lipschitz_bounds`` closes its bracket on small networks: a point where the slope is
steep, and a bound that none is steeper. Beside it a product of norms, which is above,
and the steepest of 10,000 random points, which is below.
"""

# %%
# Networks of growing size, fitted to a wave on the unit box.
import matplotlib.pyplot as plt
import torch
from torch import nn

import relulens as rl

torch.set_num_threads(1)


def fitted(inputs: int, hidden: int) -> nn.Sequential:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 1),
    )
    optimiser = torch.optim.Adam(module.parameters(), 1e-2)
    for _ in range(300):
        x = 2 * torch.rand(200, inputs) - 1
        optimiser.zero_grad()
        nn.functional.mse_loss(module(x)[:, 0], torch.sin(4 * x.sum(1))).backward()
        optimiser.step()
    return module


# %%
# Every bracket must close to 1 %, and the sampled maximum must lie below it.
sizes, rows = [(2, 8), (2, 24), (3, 16), (4, 12)], []
for inputs, hidden in sizes:
    module = fitted(inputs, hidden)
    network = rl.from_torch(module, torch.zeros(2, inputs))
    found = rl.lipschitz_bounds(network, rl.Box(-1, 1), norm=2, gap=1.01, budget=20)
    weights = [part.weight.detach() for part in module if isinstance(part, nn.Linear)]
    product = torch.stack([torch.linalg.matrix_norm(w, 2) for w in weights]).prod()
    points = 2 * torch.rand(10_000, inputs) - 1
    sampled = rl.local_lipschitz(network, points).max()
    print(f"{inputs}-{hidden}-{hidden}-1:", found, "witness", found.witness.tolist())
    rows.append((float(product), found.upper, found.lower, float(sampled)))

# %%
# Only the bracket is close to the constant from both sides.
names = ("product of norms", "upper bound", "lower bound", "10,000 samples")
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for name, values, marker in zip(names, zip(*rows, strict=True), "sv^o", strict=True):
    ax.plot([f"{n}-{h}-{h}-1" for n, h in sizes], values, marker, label=name)
ax.set(yscale="log", ylabel="Lipschitz constant in the 2-norm")
ax.legend()
