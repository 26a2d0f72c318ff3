"""Templates: the filters that a network matches with an image
===========================================================

Around an image a network is one affine map. Row :math:`c` of its slope is the template
of class :math:`c`: the logit is the inner product of template and image, and an offset.
"""

# %%
# A multilayer perceptron that scikit-learn fitted.
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import relulens as rl

digits = load_digits()
x = digits.data / 16
fitted = MLPClassifier((64, 32), max_iter=60, tol=1e-2, random_state=0)
fitted.fit(x, digits.target)
network = rl.from_sklearn(fitted)

# %%
# Templates of one image, and the exact split of every logit.
image = torch.tensor(x[:1])
found = rl.templates(network, image)
logits = rl.evaluate(network, image)[0]
torch.testing.assert_close(found.inner[0] + found.offsets[0], logits)
for c in range(10):
    print(
        f"{c}: {found.inner[0, c]:7.2f} {found.offsets[0, c]:+6.2f} = {logits[c]:7.2f}"
    )

# %%
# The image, and the templates of the best and the second best class.
best, second = logits.argsort(descending=True)[:2].tolist()
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
axes[0].imshow(image.reshape(8, 8).numpy(), cmap="gray_r")
axes[0].set_title("image")
rows = found.rows[0].reshape(10, 8, 8)
limit = float(rows[[best, second]].abs().max())
for ax, c in zip(axes[1:], (best, second), strict=True):
    ax.imshow(rows[c].numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set_title(f"template of {c}: {found.inner[0, c]:.1f}")
for ax in axes:
    ax.set_axis_off()
