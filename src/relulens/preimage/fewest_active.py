"""A point where few units of a layer are active, by exact searches along lines."""

import numpy as np

from relulens.certificates.rounding import Array


def fewest_active(
    rows: Array, offset: Array, *, starts: int, seed: int, rounds: int = 30
) -> tuple[Array, int]:
    """Return a point where few of ``rows x + offset`` are not negative, as found.

    Along a line the count changes where a row crosses zero, so that the best point of a
    line is found by sorting. Lines go against active rows, and at random.

    Args:
        rows: Coefficients [m, n].
        offset: Constant parts [m].
        starts: How many starts.
        seed: For starts and lines.
        rounds: The most rounds of lines a start.

    Returns:
        The point and the count there, to rounding.

    Cost:
        A product [m, n] by [n, 16] and a sort of m numbers a line.
    """
    generator = np.random.default_rng(seed)
    n = rows.shape[1]
    best, fewest = np.zeros(n), _count(rows @ np.zeros(n) + offset)
    for start in range(starts):
        x = -rows.sum(0) if start == 0 else generator.standard_normal(n)
        value = rows @ x + offset
        count = _count(value)
        for _ in range(rounds):
            lines = _lines(rows, value, generator)
            rates = rows @ lines
            found = [_along(value, rates[:, j]) for j in range(lines.shape[1])]
            place = int(np.argmin([number for _, number in found]))
            step, number = found[place]
            if number >= count:
                break
            x = x + step * lines[:, place]
            value = rows @ x + offset
            count = _count(value)
        if count < fewest:
            best, fewest = x, count
    return best, fewest


def _count(value: Array) -> int:
    return int((value >= 0).sum())


def _lines(rows: Array, value: Array, generator: np.random.Generator) -> Array:
    n = rows.shape[1]
    drawn = generator.standard_normal((n, 8))
    active = np.flatnonzero(value >= 0)
    if active.size == 0:
        return drawn
    nearest = active[np.argsort(value[active])[:7]]
    against = np.column_stack([-rows[active].sum(0), -rows[nearest].T])
    return np.concatenate([drawn, against], axis=1)


def _along(value: Array, rate: Array) -> tuple[float, int]:
    """Return the step along which the fewest of ``value + t rate`` are not negative."""
    moving = rate != 0
    crossing = -value[moving] / rate[moving]
    order = np.argsort(crossing)
    ends = crossing[order]
    if ends.size == 0:
        return 0.0, _count(value)
    # Far to the left rows with falling rate are active; each crossing changes one.
    change = np.where(rate[moving][order] > 0, 1, -1)
    fixed = int((value[~moving] >= 0).sum())
    counts = fixed + int((change < 0).sum()) + np.concatenate([[0], np.cumsum(change)])
    wide = 1.0 + np.abs(ends).max()
    middles = np.concatenate([[ends[0] - wide], (ends[1:] + ends[:-1]) / 2])
    middles = np.append(middles, ends[-1] + wide)
    room = np.concatenate([[np.inf], np.diff(ends), [np.inf]])
    counts = np.where(room > 1e-9 * wide, counts, rate.size + 1)
    place = int(np.argmin(counts))
    return float(middles[place]), int(counts[place])
