"""A model with loops beside a network of equal size
==================================================

An implicit model has no layers: its state solves one equation. It is trained on digits
beside a network of as many weights; then one is made from that network's states.
"""

# %%
# 64 inputs and 30 states make 3,800 weights, and 50 hidden units 3,760.
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn

import relulens as rl

torch.set_num_threads(1)
x, y = map(torch.tensor, load_digits(return_X_y=True))
x = (x / 16).float()


def trained(module: nn.Module) -> list[float]:
    """Train a module with Adam, and return its test accuracy after each epoch."""
    optimiser, curve = torch.optim.Adam(module.parameters(), 5e-3), []
    for _ in range(15):
        for rows in torch.randperm(1200).split(100):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
            optimiser.step()
            if isinstance(module, rl.training.ImplicitLayer):
                module.project_()
        curve.append((module(x[1200:]).argmax(1) == y[1200:]).double().mean().item())
    return curve


curves: dict[str, list[list[float]]] = {"implicit": [], "feed-forward": []}
for seed in range(3):
    torch.manual_seed(seed)
    layer = rl.training.ImplicitLayer(64, 30, 10, kappa=0.95, seed=seed)
    curves["implicit"].append(trained(layer))
    plain = nn.Sequential(nn.Linear(64, 50), nn.ReLU(), nn.Linear(50, 10))
    curves["feed-forward"].append(trained(plain))
for name, runs in curves.items():
    print(name, [round(curve[-1], 3) for curve in runs])

# %%
# The same from a network's states: every row is a small problem with a certificate.
states = rl.training.teacher_states(rl.from_torch(plain, x[:2]), x[:1200], kappa=0.95)
found = rl.training.state_driven(states, rl.training.L1(1e-3), kappa=0.95)
print(f"{found.zeros:.2f} zeros, largest gap {found.hidden.gap.max():.1e}")

# %%
# Mean accuracy over epochs, and the loops that state-driven rows keep.
_, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
for name, runs in curves.items():
    left.plot(range(1, 16), torch.tensor(runs).mean(0), label=name)
left.set(xlabel="epoch", ylabel="test accuracy")
left.legend()
right.spy(found.model.A.to_sparse(), markersize=3)
