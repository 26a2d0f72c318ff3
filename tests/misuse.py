"""Calls with arguments of wrong types; each must be refused in the house's words."""

import sys
from collections.abc import Callable

import numpy as np

import relulens as rl
from relulens.errors import RelulensError

network = rl.from_layers([([[1.0, 2.0], [1.0, -1.0]], None), ([[1.0, 0.0]] * 2, None)])
x = np.array([[0.5, 0.25]])
square = [[0, 0], [1, 0], [1, 1], [0, 1]]
plane = rl.Plane([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
box = rl.Box(0, 1)
model = rl.ImplicitModel([[0.5]], [[1.0, 0.0]], [[1.0], [2.0]])

CALLS: dict[str, Callable[[], object]] = {
    "layer of a fraction": lambda: network.find(1.5),
    "layer of a truth value": lambda: network.layer_index(True),
    "layer of a list": lambda: network.find([0]),
    "a plane's name": lambda: rl.slice_partition(network, "plane", square),
    "layers of a list": lambda: rl.slice_partition(network, plane, square, layers=[0]),
    "a pair for a box": lambda: rl.lipschitz_bounds(network, (0, 1)),
    "a pair for a domain": lambda: rl.certified_radius(network, x, domain=(0, 1)),
    "a pair to attack in": lambda: rl.sparse_attack(network, x, domain=(0, 1)),
    "a pair around inputs": lambda: rl.output_bounds(network, x, 0.1, domain=(0, 1)),
    "half a change": lambda: rl.sparse_attack(network, x, k=1.5, domain=box),
    "true changes": lambda: rl.sparse_attack(network, x, k=True, domain=box),
    "a model with loops": lambda: rl.sparse_attack(model, x, domain=box),
    "no certificate": lambda: rl.write_certificate("none.npz", None),
}


def complaints() -> list[str]:
    """Return a line a call that was not refused in words."""
    wrong: list[str] = []
    for name, call in CALLS.items():
        try:
            found = call()
        except RelulensError as error:
            if not str(error).startswith("cannot "):
                wrong.append(f"{name}: {error}")
        except Exception as error:  # noqa: BLE001
            wrong.append(f"{name}: {type(error).__name__}: {error}")
        else:
            wrong.append(f"{name}: taken, {found!r}")
    return wrong


if __name__ == "__main__":
    sys.exit("\n".join(complaints()))
