"""Time exact distances to the nearest face, one image after another.

Run: python benchmarks/boundary.py MODEL.onnx IMAGES.npz [--images 3] [--scale 255]

IMAGES holds ``x``; it is divided by the scale and shaped like the network's input. One
thread; processor time, so that other work on the machine does not count. The floor is
the arithmetic of pushing every column of the Jacobian through the network.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch

import relulens as rl
from relulens.graph.network import Network
from relulens.graph.nodes import Affine


def multiplications(network: Network) -> int:
    """Return about how many one pass takes."""
    total = 0
    for node in network.nodes:
        if isinstance(node, Affine):
            total += sum(term.map.entries() for term in node.terms)
    return total


def main() -> None:
    """Measure, print a line an image and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--scale", type=float, default=255.0)
    parser.add_argument("--faces", choices=("effective", "all"), default="effective")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = rl.load(options.model)
    images = np.load(options.data)["x"][: options.images] / options.scale
    x = torch.from_numpy(images).double().reshape(-1, *network.input_shape)
    floor = 2 * multiplications(network) * math.prod(network.input_shape) / 1e9
    print(f"{network.state_size:,} units, floor {floor:.3g} GFLOP an image")
    rows = []
    for i in range(len(x)):
        start = time.process_time()
        found = rl.boundary_distance(network, x[i : i + 1], faces=options.faces)
        spent = time.process_time() - start
        row = {
            "seconds": round(spent, 3),
            "distance": found.distance.item(),
            "layer": found.layer[0],
            "unit": found.unit.item(),
            "complete": bool(found.complete),
            "screening": found.screening,
            "deviation": found.deviation,
        }
        rows.append(row)
        print(f"{i:3} {spent:7.2f} s  {row['distance']:.4g} at {row['layer']!r}")
    seconds = float(np.median([row["seconds"] for row in rows]))
    rate = floor / seconds
    print(f"median {seconds:.2f} s an image, as if at {rate:.0f} GFLOP/s")
    print(json.dumps({"floor_gflop": floor, "median_seconds": seconds, "rows": rows}))


if __name__ == "__main__":
    main()
