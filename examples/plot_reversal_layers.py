"""Several random layers, generated and brought back
==================================================

A hidden layer with a few active units generates a middle layer, and that the observed
one. Going back, each layer adds its own error: about the density of the layer below.
"""

# %%
# Three models: a dropped, sparse middle layer, a dense one, and two middle layers.
import matplotlib.pyplot as plt
import torch

from relulens.reversal.generative import GenerativeModel
from relulens.reversal.prediction import conditions
from relulens.reversal.recognition import recognise

models = {
    "sparse middle": ((2000, 500, 60), (1.0, 0.1)),
    "dense middle": ((2000, 500, 60), (1.0, 1.0)),
    "two middles": ((4000, 1000, 250, 40), (1.0, 0.1, 0.2)),
}


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Return the mean relative squared error."""
    return float(((found - wanted).square().sum(1) / wanted.square().sum(1)).mean())


# %%
# Errors of every layer, brought back from the observed one with the true norms.
figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for name, (sizes, keep) in models.items():
    model = GenerativeModel.gaussian(sizes, keep=keep, seed=0)
    layers = model.sample_layers(model.hidden(20, 4, seed=1), seed=2)
    back, errors = layers[0], []
    for place, wanted in enumerate(layers[1:]):
        norm = wanted.norm(dim=1)
        back = recognise(model, back, layer=place, threshold="hard", norm=norm).hidden
        errors.append(relative(back, wanted))
    ax.semilogy(range(1, len(errors) + 1), errors, "o-", label=name)
    for place, layer in enumerate(conditions(sizes, 4, keep)):
        print(f"{name}, layer {place + 1}: k/t {layer.density:.3f}", layer.warnings)
ax.set_xlabel("layer above the observed one")
ax.set_ylabel("relative squared error")
ax.set_xticks([1, 2, 3])
ax.legend()
