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

CALLS: dict[str, Callable[[], object]] = {
    "layer of a fraction": lambda: network.find(1.5),
    "layer of a truth value": lambda: network.layer_index(True),
    "layer of a list": lambda: network.find([0]),
    "a plane's name": lambda: rl.slice_partition(network, "plane", square),
    "layers of a list": lambda: rl.slice_partition(network, plane, square, layers=[0]),
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
