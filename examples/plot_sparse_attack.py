"""A few pixels change the class
================================

Random values in the entries with the largest sensitivity :math:`S_{cj}`, as in the
source, beside the search that follows affine maps from region to region. With
``MODEL DATA`` as arguments it takes a network and images, such as MNIST, from files.
"""

# %%
# A network on scikit-learn's digits.
import sys

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import relulens as rl

if len(sys.argv) == 3:
    network = rl.load(sys.argv[1])
    data = rl.read_data(sys.argv[2], network, samples=200, scale=255)
    x, y, shape = torch.tensor(data.take(range(200))), data.labels, (28, 28)
else:
    digits = load_digits()
    fitted = MLPClassifier((64, 32), max_iter=60, tol=1e-2, random_state=0)
    fitted.fit(digits.data[200:] / 16, digits.target[200:])
    network = rl.from_sklearn(fitted)
    x, y, shape = torch.tensor(digits.data[:200] / 16), digits.target[:200], (8, 8)
box = rl.Box(0, 1)
clean = (rl.evaluate(network, x).argmax(1).numpy() == y).mean()
print(f"accuracy {clean:.1%}")

# %%
# The source's attack, with one random value a pixel, for one and two pixels.
for k in (1, 2):
    found = rl.sparse_attack(
        network, x, labels=y, k=k, domain=box, method="sensitivity", draws=1
    )
    left = 1 - float(found.success.double().mean())
    print(f"most sensitive, k={k}: accuracy {left:.1%}")

# %%
# The strong one changes as few pixels as it finds; each row of numbers is checked.
attack = rl.sparse_attack(network, x, labels=y, domain=box)
curve = rl.attack_curve(attack)
print(f"strong: accuracy with k=1 {curve.accuracy[1]:.1%}, k=2 {curve.accuracy[2]:.1%}")
figure, axes = plt.subplots(2, 1, figsize=(8, 7), layout="constrained")
rl.plot.worst_examples(attack, x, axes[0], shape=shape)
rl.plot.attack_curve(curve, axes[1])

# %%
# Many pixels by a little: a linear program with a budget, and what it promised.
few = {"labels": y[:4], "k": min(100, x[0].numel()), "radius": 0.1, "domain": box}
for faces in ("source", "triangle"):
    solved = rl.linear_program_attack(network, x[:4], faces=faces, **few)
    bound, got = solved.bound.nanmean(), solved.reached.nanmean()
    print(f"{solved}: promised {bound:.2f}, got {got:.2f}")
