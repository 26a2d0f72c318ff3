"""A model with loops beside a network of equal size
==================================================

An implicit model has no layers: its state is the solution of one equation. It is
trained on digits beside a network with one hidden layer and as many weights, over
seeds; then a smaller implicit model is made from another network's states.
"""

# %%
# 64 inputs and 30 states make 3,800 weights, and 50 hidden units 3,760.
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn

import relulens as rl
from relulens import training

torch.set_num_threads(1)
digits = load_digits()
x = torch.tensor(digits.data / 16, dtype=torch.float32)
y = torch.tensor(digits.target)
train, test = slice(0, 1200), slice(1200, None)


def trained(module: nn.Module) -> list[float]:
    """Train a module with Adam, and return its test accuracy after each epoch."""
    optimiser, curve = torch.optim.Adam(module.parameters(), 5e-3), []
    for _ in range(15):
        for rows in torch.randperm(1200).split(100):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
            optimiser.step()
            if isinstance(module, training.ImplicitLayer):
                module.project_()
        with torch.no_grad():
            right = module(x[test]).argmax(1) == y[test]
        curve.append(right.double().mean().item())
    return curve


curves: dict[str, list[list[float]]] = {"implicit": [], "feed-forward": []}
for seed in range(3):
    torch.manual_seed(seed)
    layer = training.ImplicitLayer(64, 30, 10, kappa=0.95, seed=seed)
    plain = nn.Sequential(nn.Linear(64, 50), nn.ReLU(), nn.Linear(50, 10))
    curves["implicit"].append(trained(layer))
    curves["feed-forward"].append(trained(plain))
for name, module in (("implicit", layer), ("feed-forward", plain)):
    weights = sum(part.numel() for part in module.parameters())
    last = torch.tensor([curve[-1] for curve in curves[name]])
    print(f"{name}: {weights} weights, accuracy {last.mean():.3f} +- {last.std():.3f}")
print(layer.certificate().contraction)

# %%
# The same from a network's states: every row is a small problem with a certificate.
network = rl.from_torch(plain, x[:2])
states = training.teacher_states(network, x[train], kappa=0.95)
found = training.state_driven(states, training.L1(1e-3), kappa=0.95)
A = found.model.A.to_sparse().toarray()
print(f"{found.zeros:.2f} zeros, largest gap {found.hidden.gap.max():.1e}")

# %%
# Accuracy over epochs, one line a seed, and the loops that state-driven rows keep.
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
for (name, runs), colour in zip(curves.items(), ("C0", "C1"), strict=True):
    for i, curve in enumerate(runs):
        left.plot(range(1, 16), curve, colour, label=name if i == 0 else None)
left.set(xlabel="epoch", ylabel="test accuracy")
left.legend()
right.spy(abs(A) > 0, markersize=3)
right.set_title("A from a network's states")
