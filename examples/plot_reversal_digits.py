"""A trained network run backwards
===============================

The features of a digit are sent back through the transposed weights. The picture that
comes out is compared with the input, and with what initial weights make of it.
"""

# %%
# A dense network on scikit-learn's digits, and the same one before training.
import copy

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn

import relulens as rl

torch.manual_seed(0)
digits = load_digits()
torch.set_num_threads(1)
x = torch.tensor(digits.data / 16, dtype=torch.float32)
y = torch.tensor(digits.target)
module = nn.Sequential(nn.Linear(64, 200), nn.ReLU(), nn.Linear(200, 60), nn.ReLU())
module.append(nn.Linear(60, 10))
before = copy.deepcopy(module)
optimiser = torch.optim.Adam(module.parameters(), 2e-3)
for _ in range(150):
    loss = nn.functional.cross_entropy(module(x), y)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

# %%
# Errors of the features of the generated inputs, beside the baselines.
domain = rl.Box(0, 1)
network = rl.from_torch(module, x[:2], domain=domain)
initial = rl.from_torch(before, x[:2], domain=domain)
images = x[:6]
made = [rl.reversal(network, images, layer=i, initial=initial) for i in (0, 1)]
for found in made:
    others = {name: f"{v.median():.2f}" for name, v in found.baselines.items()}
    print(f"layer {found.layer}: error {found.shape_error.median():.2f}, {others}")

# %%
# The inputs, and what comes back from the first and from the second layer.
figure, axes = plt.subplots(3, 6, figsize=(8, 4.2), layout="constrained")
for row, pictures in zip(axes, (images, *(f.generated for f in made)), strict=True):
    for ax, picture in zip(row, pictures, strict=True):
        ax.imshow(picture.reshape(8, 8).numpy(), cmap="gray_r")
        ax.set_axis_off()
for weights in rl.random_likeness(network, initial).layers:
    print(f"{weights.name}: {weights.sentence[:96]}")
