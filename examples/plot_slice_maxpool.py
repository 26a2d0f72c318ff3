"""A slice of a network with max-pooling
=====================================

All linear regions of a small convolutional network on the triangle between three test
images of digits. A maximum cuts where its winner changes, like any other unit.
"""

# %%
# Trained for some seconds on scikit-learn's digits.
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn

import relulens as rl

torch.set_num_threads(1)
torch.manual_seed(0)
digits = load_digits()
x = torch.tensor(digits.images[:, None] / 16, dtype=torch.float32)
y = torch.tensor(digits.target)
module = nn.Sequential(
    nn.Conv2d(1, 6, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(6, 10, 3),
    nn.LeakyReLU(0.1),
    nn.Flatten(),
    nn.Linear(40, 10),
)
optimiser = torch.optim.Adam(module.parameters(), 5e-3)
for rows in torch.cat([torch.randperm(1200) for _ in range(15)]).split(50):
    optimiser.zero_grad()
    nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
    optimiser.step()
print("accuracy", (module(x[1200:]).argmax(1) == y[1200:]).double().mean())

# %%
# The plane goes through three test images; its coordinates are theirs.
network = rl.from_torch(module, x[:2])
images = torch.stack([x[1200:][y[1200:] == digit][0] for digit in (0, 3, 8)])
plane = rl.Plane.through(*images)
found = rl.slice_partition(network, plane, [[0, 0], [1, 0], [0, 1]])
print(found, "after each layer:", found.counts)
print(
    "V - E + F =", found.certificate.euler, "of 1; area, difference from the domain's:"
)
print(found.certificate.finished_area, found.certificate.area_difference)

# %%
# Every cell's pattern is that of the point in its middle; this looks at each 50th.
pattern = rl.activation_pattern(network, plane.points(found.centres))
cells = range(0, found.count, 50)
same = [found.pattern(i)[k].equal(pattern[k][[i]]) for i in cells for k in pattern]
print(f"{sum(same)} of {len(same)} patterns of layers are equal")
marks = [(0, 0, "0"), (1, 0, "3"), (0, 1, "8")]
figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
for colour, ax in zip(("class", "slope"), axes, strict=True):
    rl.plot.partition(found, ax, colour=colour, marks=marks).set_title(colour)
