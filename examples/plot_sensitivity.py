r"""How far a change of the input can carry
========================================

The one equation :math:`x = \phi(Ax + Bu), y = Cx + Du` of a network as a picture of its
A, and the sensitivity :math:`S = |C|(I - |A|)^{-1}|B| + |D|`, one image an output. With
``MODEL`` as argument, A is that of another file, such as a ResNet20.
"""

# %%
# A is block triangular: layers read earlier ones, and residuals ones further back.
import sys

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn

import relulens as rl
from relulens.report.subject import embedded_network

network = rl.load(sys.argv[1]) if len(sys.argv) > 1 else embedded_network()
axes = plt.figure(figsize=(6, 6), layout="constrained").gca()
rl.plot.implicit(rl.implicit_model(network), axes)

# %%
# A dense and a convolutional network that tell scikit-learn's digits apart.
torch.set_num_threads(1)
torch.manual_seed(0)
digits = load_digits()
x, y = torch.tensor(digits.images[:, None] / 16).float(), torch.tensor(digits.target)
dense = nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU())
dense.extend([nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 10)])
conv = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2))
conv.extend([nn.Conv2d(8, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10)])
networks = {}
for name, module in {"dense": dense, "convolutional": conv}.items():
    optimiser = torch.optim.Adam(module.parameters(), 1e-2)
    for rows in (part for _ in range(20) for part in torch.randperm(1500).split(100)):
        optimiser.zero_grad()
        nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
        optimiser.step()
    networks[name] = rl.from_torch(module.eval(), x[:2])
    print(name, "accuracy", (module(x[1500:]).argmax(1) == y[1500:]).float().mean())

# %%
# Row :math:`c` of S: which pixels can move output :math:`c` most, on its own scale.
# Absolute values add up over all paths, so that rows look much alike.
figure, axes = plt.subplots(2, 10, figsize=(9, 2.3), layout="constrained")
for line, (name, found) in zip(axes, networks.items(), strict=True):
    for c, row in enumerate(rl.sensitivity(found).matrix.reshape(10, 8, 8).numpy()):
        line[c].imshow(row, "magma", vmin=0)
        line[c].set(xticks=[], yticks=[], title=str(c), ylabel="" if c else name)

# %%
# As a bound S says nothing about deep networks: absolute values multiply through all
# layers, on a ResNet20 beyond 1e18. Others look at one image's surroundings.
for name, found in networks.items():
    for method in ("sensitivity", "interval", "relaxation", "triangle"):
        print(name, rl.output_bounds(found, x[1500:1501], 0.03, method=method))
