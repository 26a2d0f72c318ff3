"""The largest slope of small networks over all sign patterns, by linear programs."""

import math
from itertools import pairwise

import numpy as np
from scipy.optimize import linprog

NORMS = (1, 2, "inf")
ORDERS = {1: 1, 2: 2, "inf": np.inf}


def random_layers(sizes, seed=0):
    drawn = np.random.default_rng(seed)
    return [
        (drawn.normal(size=(b, a)) / math.sqrt(a), drawn.normal(size=b) / 2)
        for a, b in pairwise(sizes)
    ]


def has_inside(rows, right, low, high):
    """Tell whether ``rows x <= right`` has an inside in the box, by one program."""
    norms = np.linalg.norm(rows, axis=1)
    if (right[norms < 1e-12] < 0).any():
        return False
    rows, right, norms = (part[norms >= 1e-12] for part in (rows, right, norms))
    width = len(low)
    eye, one = np.eye(width), np.ones((width, 1))
    table = np.block([[rows, norms[:, None]], [eye, one], [-eye, one]])
    ends = np.concatenate([right, high, -low])
    free = [(None, None)] * (width + 1)
    found = linprog([0.0] * width + [-1.0], A_ub=table, b_ub=ends, bounds=free)
    return found.status == 0 and -found.fun > 1e-9


def largest_norm(layers, low, high, norm):
    """Return the largest slope over all sign patterns that occur, one unit a turn."""
    steepest = 0.0

    def visit(layer, matrix, offset, rows, right):
        nonlocal steepest
        weight, bias = layers[layer]
        matrix, offset = weight @ matrix, weight @ offset + bias
        if layer == len(layers) - 1:
            steepest = max(steepest, np.linalg.norm(matrix, ORDERS[norm]))
            return
        patterns, known = [[]], (matrix, offset, rows, right)
        for _ in range(len(bias)):
            patterns = [
                [*pattern, sign]
                for pattern in patterns
                for sign in (0, 1)
                if has_inside(
                    *constraints([*pattern, sign], matrix, offset, rows, right),
                    low,
                    high,
                )
            ]
        for pattern in patterns:
            mask = np.array(pattern, dtype=float)
            more = constraints(pattern, *known)
            visit(layer + 1, mask[:, None] * matrix, mask * offset, *more)

    width = len(low)
    visit(0, np.eye(width), np.zeros(width), np.zeros((0, width)), np.zeros(0))
    return steepest


def constraints(pattern, matrix, offset, rows, right):
    sign = np.where(np.array(pattern) == 1, -1.0, 1.0)
    count = len(pattern)
    return (
        np.concatenate([rows, sign[:, None] * matrix[:count]]),
        np.concatenate([right, -sign * offset[:count]]),
    )
