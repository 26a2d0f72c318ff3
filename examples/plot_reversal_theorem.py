r"""Reversal of a random layer: errors against the theorem
======================================================

A hidden layer h with k active units generates :math:`x = r(\alpha W h)`. The transpose
brings h back: without a threshold with an error that does not depend on k, with the
theorem's offset with one of order k / t, where t observed units are kept.
"""

# %%
# Measured errors over k, for two dropout rates, and the formulas' predictions.
import matplotlib.pyplot as plt
import torch

from relulens.reversal.generative import GenerativeModel
from relulens.reversal.prediction import conditions, predicted_error
from relulens.reversal.recognition import recognise

N, M = 2000, 500
active = [2, 4, 8, 16, 32, 64]


def error(found: torch.Tensor, h: torch.Tensor) -> float:
    """Return the mean relative squared error."""
    return float(((found - h).square().sum(1) / h.square().sum(1)).mean())


figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
for ax, keep in zip(axes, (1.0, 0.5), strict=True):
    model = GenerativeModel.gaussian((N, M), keep=keep, seed=0)
    for name, colour in (("linear", "C0"), ("soft", "C1"), ("hard", "C2")):
        measured, predicted = [], []
        for k in active:
            h = model.hidden(40, k, seed=k)
            x = model.sample(h, seed=k)
            norm = h.norm(dim=1)
            measured.append(
                error(recognise(model, x, threshold=name, norm=norm).hidden, h)
            )
            predicted.append(float(getattr(predicted_error(h, N, keep=keep), name)[0]))
        ax.loglog(active, measured, "o", color=colour, label=f"{name}, measured")
        ax.loglog(active, predicted, color=colour, label="predicted")
    ax.set_xlabel("active units k")
    ax.set_title(f"n = {N}, m = {M}, kept {keep:g}")
axes[0].set_ylabel("relative squared error")
axes[0].legend(fontsize=8)

# %%
# Where the theorem's regime k < t < k^2 holds, and where it does not.
for k in active:
    (layer,) = conditions((N, M), k)
    said = "holds" if layer.holds else "; ".join(layer.warnings)
    print(f"k = {k:3}: k/t {layer.density:.3f}, t/k^2 {layer.spread:8.2f}, {said}")
