"""How far an affine map holds
===========================

The exact Euclidean distance from a point to the border of its region, drawn as a circle
inside which the network is one affine map. Two inputs, so that it can be seen.
"""

# %%
# A small network on two moons.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import make_moons
from sklearn.neural_network import MLPClassifier

import relulens as rl

points, labels = make_moons(200, noise=0.1, random_state=0)
fitted = MLPClassifier((12, 12), max_iter=800, tol=1e-3, random_state=0)
network = rl.from_sklearn(fitted.fit(points, labels))
chosen = torch.tensor(points[:40])
distance = rl.boundary_distance(network, chosen)
print(f"distances from {distance.distance.min():.4f} to {distance.distance.max():.4f}")

# %%
# The map at a point is the network anywhere inside its circle.
m = rl.local_affine_map(network, chosen)
step = 0.999 * distance.distance[:, None] * distance.normal
difference = m(chosen + step) - rl.evaluate(network, chosen + step)
print(f"largest difference just inside: {difference.abs().max():.1e}")

# %%
# Colours tell patterns apart; the circles touch the borders.
grid = np.stack(np.meshgrid(np.linspace(-1.5, 2.5, 400), np.linspace(-1, 1.5, 250)), -1)
codes = rl.activation_pattern(network, grid.reshape(-1, 2))
words = np.concatenate([codes[name].numpy() for name in codes], 1)
_, region = np.unique(words, axis=0, return_inverse=True)
shades = np.random.default_rng(0).permutation(region.max() + 1)[region]
figure, ax = plt.subplots(figsize=(8, 5), layout="constrained")
picture = shades.reshape(grid.shape[:2])
ax.imshow(
    picture, extent=(-1.5, 2.5, -1, 1.5), origin="lower", cmap="gist_ncar", alpha=0.4
)
ax.scatter(*chosen.T, c=labels[:40], s=8, cmap="coolwarm", zorder=3)
for centre, radius in zip(chosen.tolist(), distance.distance.tolist(), strict=True):
    ax.add_patch(plt.Circle(centre, radius, fill=False, linewidth=0.8))
ax.set_title(f"{region.max() + 1} regions meet this rectangle's grid")
