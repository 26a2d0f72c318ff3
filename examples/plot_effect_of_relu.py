"""What a ReLU forgets, and how spectra decay over depth
=====================================================

Singular values of the slope of a small trained network at one image: just before and
just after two of its ReLUs, and after every layer. The figures are those of Behrmann's
talk on the invertibility of ReLU networks, on scikit-learn's digits. On CIFAR-10 with
the talk's network: ``python scripts/cifar_network.py FOLDER``.
"""

# %%
# A convolutional network, trained for a few seconds.
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn

import relulens as rl

torch.manual_seed(0)
digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
labels = torch.tensor(digits.target)
module = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(),
    nn.Conv2d(12, 24, 3, padding=1, stride=2), nn.ReLU(),
    nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(),
    nn.Flatten(), nn.Linear(24 * 16, 64), nn.ReLU(), nn.Linear(64, 10),
)  # fmt: skip
optimiser = torch.optim.Adam(module.parameters(), lr=3e-3)
for _ in range(3):
    for batch in torch.randperm(len(x)).split(64):
        loss = nn.functional.cross_entropy(module(x[batch]), labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

# %%
# The slope from the image to each ReLU's argument, and to its features.
network = rl.from_torch(module.eval(), x[:2])
image = x[:1]
pairs = [
    (
        layer.name,
        rl.singular_values(network, image, layer=layer.name, at="preactivation"),
        rl.singular_values(network, image, layer=layer.name),
    )
    for layer in network.layers
]
for name, before, after in pairs:
    print(f"{name}: rank {int(before.rank[0])} before, {int(after.rank[0])} after")

# %%
# Left: two of the ReLUs. Right: the features of every layer.
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
rl.plot.relu_effect([pairs[1], pairs[3]], ax=left).set_title("Effect of ReLU")
features = {name: after for name, _, after in pairs}
rl.plot.spectrum(features, ax=right).set_title("Decay over layers")
