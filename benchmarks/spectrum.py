"""Time all singular values of a convolutional layer beside torch's jacrev and SVD.

Run: python benchmarks/spectrum.py [--small] [--repeats 1] [--chunk 256]

Two layers on inputs [3, 32, 32] with random weights: 32 filters 3x3, ReLU, and 64
filters 3x3 with stride 2, so the Jacobian at one image is [16384, 3072]. One thread,
one process; processor time. Theirs is ``torch.func.jacrev``, in chunks as it would not
fit into memory otherwise, and ``torch.linalg.svdvals``.
"""

import argparse
import json
import time
from collections.abc import Callable

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

import relulens as rl
from relulens.local.spectrum import Spectrum

GOALS = {"gram": 3.0, "tsqr": 1.5}


def network(size: int) -> nn.Module:
    """Return the two convolutions, and a head that nothing asks about."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * (size // 2) ** 2, 10),
    ).double()


def timed(run: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """Return a result and the processor seconds it took."""
    start = time.process_time()
    found = run()
    return found, time.process_time() - start


def main() -> None:
    """Measure, print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="16 by 16 pixels")
    parser.add_argument("--chunk", type=int, default=256)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    size = 16 if options.small else 32
    module = network(size).eval().requires_grad_(False)
    x = torch.rand(1, 3, size, size, dtype=torch.float64)
    imported = rl.from_torch(module, torch.cat([x, x]))
    layer = imported.layers[1].name
    with threadpool_limits(1):
        slope, first = timed(
            lambda: torch.func.jacrev(
                lambda image: module[:3](image[None]).flatten(),
                chunk_size=options.chunk,
            )(x[0]).flatten(1)
        )
        wanted, second = timed(lambda: torch.linalg.svdvals(slope))
        theirs = first + second
        print(f"jacrev {first:.2f} s + svdvals {second:.2f} s = {theirs:.2f} s")
        rows = [compared(imported, x, layer, name, wanted, theirs) for name in GOALS]
    print(json.dumps({"torch_seconds": theirs, "rows": rows}))


def compared(
    imported: rl.Network,
    x: Tensor,
    layer: str,
    method: str,
    wanted: Tensor,
    theirs: float,
) -> dict[str, object]:
    """Return one row for one method of ours."""
    found: list[Spectrum] = []

    def run() -> Tensor:
        found.append(
            rl.singular_values(
                imported, x, layer=layer, at="preactivation", method=method
            )
        )
        return found[0].values[0]

    values, ours = timed(run)
    large = wanted > 1e-3 * wanted[0]
    apart = float(((values - wanted).abs() / wanted)[large].max())
    ratio = theirs / ours
    print(
        f"{method:6}{ours:8.2f} s {ratio:7.1f} x faster (goal {GOALS[method]}),"
        f" {int(large.sum())} values agree to {apart:.1e}: {found[0].accuracy}"
    )
    return {"method": method, "seconds": ours, "ratio": ratio, "difference": apart}


if __name__ == "__main__":
    main()
