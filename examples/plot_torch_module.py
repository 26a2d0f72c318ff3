"""A PyTorch module and its affine map
===================================

Import any module that ``torch.export`` takes, look at what it is made of, and check
that around an image it is the affine map that relulens says.
"""

# %%
# A residual block with batch normalisation and max-pooling, untrained.
import matplotlib.pyplot as plt
import torch
from torch import nn

import relulens as rl


class Residual(nn.Module):
    """A block that adds what it was given to what it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8 * 16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ten logits."""
        y = torch.relu(self.first(x))
        y = torch.relu(y + self.second(self.norm(y)))
        return self.head(nn.functional.max_pool2d(y, 2).flatten(1))


torch.manual_seed(0)
module = Residual().double().eval()
x = torch.rand(8, 1, 8, 8, dtype=torch.float64)
network = rl.from_torch(module, x)
print(rl.describe(network))

# %%
# Its slope is the module's Jacobian, and the map is the module itself.
m = rl.local_affine_map(network, x)
jacobian = torch.autograd.functional.jacobian(module, x[:1])[0, :, 0]
print("slope:", float((m.slope[0] - jacobian.flatten(1)).abs().max()))
print("value:", float((m(x) - module(x)).detach().abs().max()))

# %%
# How the slope of one logit looks, and how far it holds.
distance = rl.boundary_distance(network, x[:1])
figure, ax = plt.subplots(figsize=(4, 4), layout="constrained")
ax.imshow(m.slope[0, 0].reshape(8, 8).numpy(), cmap="RdBu_r")
ax.set_title(f"slope of logit 0, up to a distance of {distance.distance[0]:.1e}")
