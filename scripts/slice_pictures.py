"""Draw the pictures of slices in the README and the documentation, and count.

Run it with ``python scripts/slice_pictures.py``; it takes about a minute.
"""

import sys
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

import relulens as rl
from relulens.data.digits import embedded_data
from relulens.regions.frame import SliceFrame
from relulens.regions.layer_pieces import layer_pieces
from relulens.regions.slice_verification import verified
from relulens.report.subject import embedded_network

TARGET = Path(__file__).parents[1] / "docs" / "_static"
DIGITS = (1, 3, 8)
GRID = 500


def main() -> None:
    torch.set_num_threads(1)
    draw_toy()
    draw_digits()


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")


def draw_toy() -> None:
    """Draw the source's toy by layers, and its training as a film."""
    found, frames = trained_toy()
    say(f"toy: {found}, after each layer {found.counts}, {layer_pieces(found, 1)}")
    say(f"  {verified(found)}")
    say(f"  a grid of {GRID} by {GRID} points meets {on_a_grid(found)} of them")
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.3), layout="constrained")
    rl.plot.layer_pieces(found, 0, axes[0])
    rl.plot.layer_pieces(found, 1, axes[1])
    rl.plot.partition(found, axes[2])
    names = "layer 1: lines", "layer 2 alone: bent", "both layers, by class"
    for ax, name in zip(axes, names, strict=True):
        ax.set_title(name, fontsize=11)
        ax.set(xlabel="", ylabel="")
    write(figure, "slice_toy.png")
    film = TARGET / "slice_epochs.gif"
    short = frames[:6] + frames[6:12:2] + frames[12::6]
    rl.plot.partition_film(short, film, size=(3.2, 3.4), seconds=0.4)
    say(f"  film: {len(short)} frames, {film.stat().st_size} bytes")


def trained_toy() -> tuple[rl.Partition, list[SliceFrame]]:
    """Train the toy and return its slice and the frames on the way."""
    torch.manual_seed(0)
    y = torch.arange(800) % 4
    radius, noise = torch.rand(800) * 2 + 0.2, 0.15 * torch.randn(800)
    spiral = torch.polar(radius, torch.pi / 2 * y + 0.8 * radius + noise)
    x = torch.view_as_real(spiral)
    module = nn.Sequential(
        nn.Linear(2, 45), nn.ReLU(), nn.Linear(45, 3), nn.ReLU(), nn.Linear(3, 4)
    )
    network = rl.from_torch(module, x[:2])
    plane = rl.Plane([0, 0], [[1, 0], [0, 1]])
    domain = [[-2.5, -2.5], [2.5, -2.5], [2.5, 2.5], [-2.5, 2.5]]
    recorder = rl.training.SliceRecorder(
        follow=partial(rl.refresh, network), plane=plane, domain=domain, every=4
    )
    optimiser = torch.optim.Adam(module.parameters(), 5e-3)
    for epoch in range(121):
        recorder(module, epoch)
        for rows in torch.randperm(800).split(100):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
            optimiser.step()
    found = rl.slice_partition(rl.refresh(network, module), plane, domain)
    return found, recorder.frames


def on_a_grid(found: rl.Partition) -> int:
    """Return how many patterns the points of a grid have."""
    steps = torch.linspace(-2.5, 2.5, GRID, dtype=torch.float64)
    points = torch.cartesian_prod(steps, steps)
    pattern = rl.activation_pattern(found.network, points)
    return len(torch.cat([pattern[name] for name in pattern], 1).unique(dim=0))


def draw_digits() -> None:
    """Draw the triangle between three images of the network that ships."""
    network = embedded_network()
    data = embedded_data(network)
    x = torch.tensor(data.take(range(200)))
    prediction = rl.evaluate(network, x).argmax(1)
    images = torch.stack([x[prediction == digit][0] for digit in DIGITS])
    plane = rl.Plane.through(*images)
    found = rl.slice_partition(network, plane, [[0, 0], [1, 0], [0, 1]])
    say(f"digits: {found}, after each layer {found.counts}")
    say(f"  {found.certificate}")
    say(f"  {verified(found)}")
    marks = [
        (float(s), float(t), str(digit))
        for (s, t), digit in zip([(0, 0), (1, 0), (0, 1)], DIGITS, strict=True)
    ]
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 4.6), layout="constrained")
    rl.plot.partition(found, axes[0], marks=marks)
    rl.plot.partition(found, axes[1], colour="slope", marks=marks)
    for ax in axes:
        ax.set(xlabel="", ylabel="")
    write(figure, "slice_digits.png")


def write(figure: Figure, name: str) -> None:
    """Write a picture with 200 colours, which such pictures do with."""
    path = TARGET / name
    figure.patch.set_facecolor("white")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(200, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    say(f"  {name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
