"""Draw the picture of the README: what a report finds, on the network that ships."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import torch

import relulens as rl
from relulens.data.digits import embedded_data
from relulens.report.subject import embedded_network

TARGET = Path(__file__).parents[1] / "docs" / "_static" / "what_it_shows.svg"
INPUTS = 60


def main() -> None:
    network = embedded_network()
    x = torch.tensor(embedded_data(network).take(range(INPUTS)))
    mpl.rcParams["svg.hashsalt"] = "relulens"
    figure, axes = plt.subplots(
        1, 4, figsize=(12, 3.2), layout="constrained", width_ratios=(1, 1, 1.9, 1.9)
    )
    draw_template(network, x[:1], axes[0], axes[1])
    draw_effect(network, x[:1], axes[2])
    distance = rl.boundary_distance(network, x).distance
    rl.plot.distribution(
        distance, ax=axes[3], label="exact distance to the border of its region"
    )
    figure.patch.set_facecolor("white")
    figure.savefig(TARGET, metadata={"Date": None})


def draw_template(
    network: rl.Network, x: torch.Tensor, left: plt.Axes, right: plt.Axes
) -> None:
    found = rl.templates(network, x)
    best = int(found.logits[0].argmax())
    left.imshow(x[0, 0].numpy(), cmap="gray_r")
    left.set_title("an input", fontsize=10)
    row = found.rows[0, best, 0].numpy()
    limit = abs(row).max()
    right.imshow(row, cmap="RdBu_r", vmin=-limit, vmax=limit)
    right.set_title(f"its template of class {best}", fontsize=10)
    for ax in (left, right):
        ax.set_axis_off()


def draw_effect(network: rl.Network, x: torch.Tensor, ax: plt.Axes) -> None:
    chosen = [layer.name for layer in network.layers if layer.operation != "max"]
    pairs = [
        (
            name,
            rl.singular_values(network, x, layer=name, at="preactivation"),
            rl.singular_values(network, x, layer=name),
        )
        for name in (chosen[0], chosen[-1])
    ]
    rl.plot.relu_effect(pairs, ax=ax)
    ax.set_title("singular values before and after a ReLU", fontsize=10)


if __name__ == "__main__":
    main()
