"""Signs of many functions at the kinks of a line, in one run over their values."""

import numpy as np
from numba import njit

_BLOCK = 256
"""Columns that are looked at one by one only where there is something to find."""


@njit(cache=True, nogil=True)
def ranges_and_doubts(z, error, steep, off):
    """Return the least and largest value of every column, and values in doubt.

    Args:
        z: Values [K, n].
        error: Errors of values, negative where no sign is asked for [n].
        steep: How much an error of a row's place counts [n].
        off: Errors of the rows' places [K].
    """
    count, n = z.shape
    low = z[0].copy()
    high = z[0].copy()
    doubts = np.empty((64, 2), np.int64)
    found = 0
    for k in range(count):
        for begin in range(0, n, _BLOCK):
            end = min(begin + _BLOCK, n)
            hits = 0
            for u in range(begin, end):
                value = z[k, u]
                low[u] = value if value < low[u] else low[u]
                high[u] = value if value > high[u] else high[u]
                hits += abs(value) <= error[u] + off[k] * steep[u]
            if hits == 0:
                continue
            for u in range(begin, end):
                if abs(z[k, u]) <= error[u] + off[k] * steep[u]:
                    if found == doubts.shape[0]:
                        doubts = np.concatenate((doubts, doubts))
                    doubts[found, 0] = k
                    doubts[found, 1] = u
                    found += 1
    return low, high, doubts[:found]


@njit(cache=True, nogil=True)
def sign_changes(z, bends):
    """Return rows and columns where a value and the next one have opposite signs.

    Args:
        z: Values [K, n].
        bends: Columns that count [n].
    """
    count, n = z.shape
    changes = np.empty((64, 2), np.int64)
    found = 0
    for k in range(count - 1):
        for begin in range(0, n, _BLOCK):
            end = min(begin + _BLOCK, n)
            hits = 0
            for u in range(begin, end):
                hits += (z[k, u] > 0.0) != (z[k + 1, u] > 0.0)
            if hits == 0:
                continue
            for u in range(begin, end):
                a = z[k, u]
                b = z[k + 1, u]
                if ((a > 0.0 and b < 0.0) or (a < 0.0 and b > 0.0)) and bends[u]:
                    if found == changes.shape[0]:
                        changes = np.concatenate((changes, changes))
                    changes[found, 0] = k
                    changes[found, 1] = u
                    found += 1
    return changes[:found]
