"""CROWN for dense ReLU networks, written from the paper in numpy and nothing else."""

import numpy as np


def crown(layers, low, high):
    """Return lower and upper bounds of the last layer's outputs on one box."""
    bounds = []
    for depth in range(len(layers)):
        bounds.append(_back(layers[: depth + 1], bounds, low, high))
    return bounds[-1]


def _back(layers, bounds, low, high):
    weight, bias = layers[-1]
    result = []
    for sign in (1.0, -1.0):
        rows, constant = sign * weight, sign * bias
        for depth in range(len(layers) - 2, -1, -1):
            least, most = bounds[depth]
            on, across = least >= 0, (least < 0) & (most > 0)
            steep = np.where(
                across, most / np.where(across, most - least, 1.0), 1.0 * on
            )
            below = np.where(across, 1.0 * (most >= -least), 1.0 * on)
            over, under = np.maximum(rows, 0), np.minimum(rows, 0)
            constant = constant + under @ np.where(across, -steep * least, 0.0)
            rows = over * below + under * steep
            inner, offset = layers[depth]
            constant = constant + rows @ offset
            rows = rows @ inner
        least = np.maximum(rows, 0) @ low + np.minimum(rows, 0) @ high + constant
        result.append(sign * least)
    return result[0], result[1]
