"""Where the winners of a maximum change along a line."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from relulens.graph.nodes import Maximum
from relulens.regions.line_exact import LineSigns

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_ROUND = 2.0**-52


@dataclass(slots=True, eq=False, kw_only=True)
class Changes:
    """Places between kinks where functions, affine between these, are zero.

    Attributes:
        interval: Number of the kink before [k].
        share: How far to the next one [k].
        unit: Entry that is the function, or that takes over [k].
        other: Entry that is subtracted, -1 for none [k].
        gap: Sum of the function's absolute values at both kinks [k].
        reach: How far that can be off [k].
        noise: How far it is taken to be off where that can not be decided [k].
    """

    interval: Integers
    share: Floats
    unit: Integers
    other: Integers
    gap: Floats
    reach: Floats
    noise: Floats

    def sorted(self) -> "Changes":
        """Return them in order along the line."""
        order = np.lexsort((self.share, self.interval))
        return Changes(
            interval=self.interval[order],
            share=self.share[order],
            unit=self.unit[order],
            other=self.other[order],
            gap=self.gap[order],
            reach=self.reach[order],
            noise=self.noise[order],
        )

    def slack(self) -> Floats:
        """Return how far shares can be off."""
        clear = self.gap >= 2 * self.reach
        part = self.reach / np.where(clear, self.gap, 1.0)
        return np.where(clear, np.minimum(2 * part + 4 * _ROUND, 1.0), 1.0)

    def reorder(self, entries: Integers, order: Integers) -> None:
        """Put some of them into another order."""
        names = ("share", "unit", "other", "gap", "reach", "noise")
        for array in (getattr(self, name) for name in names):
            array[entries] = array[entries[order]]

    def near(self, entries: Integers) -> Flags:
        """Return which of some in order are at the place of the one before."""
        apart = np.diff(self.share[entries]) * self.gap[entries[1:]]
        return apart <= self.noise[entries[1:]]


@dataclass(slots=True, eq=False, kw_only=True)
class Contest:
    """Groups of entries at all kinks.

    Attributes:
        node: The maximum.
        source: Node that it reads.
        values: That node's entries at the kinks [K, n].
        bounds: Their errors, and how much an error of a kink's place counts [n].
        noise: Their errors where bounds tell nothing [n].
        off: Errors of the kinks' places [K].
        number: Numbers of the kinks [K].
        settled: Whether entries are 0 only where they truly are.
    """

    node: Maximum
    source: int
    values: Floats
    bounds: tuple[Floats, Floats]
    noise: Floats
    off: Floats
    number: Integers
    settled: bool


def changes(
    contest: Contest, signs: LineSigns
) -> tuple[Changes, Integers, Integers, int]:
    """Return where winners change, the winners at both ends, and what is left open.

    Args:
        contest: The groups.
        signs: Decides what rounding leaves open.
    """
    table, real = (part.numpy() for part in contest.node.groups.ragged.padded())
    values = np.where(real, contest.values[:, table], -np.inf)
    winner = values.argmax(axis=2)
    stays = _stays(contest, values, winner)
    every = np.arange(len(table))
    first, last = table[every, winner[0]], table[every, winner[-1]]
    rows: list[tuple[int, float, int, int, float, float, float]] = []
    left = 0
    for i, g in np.argwhere(~stays).tolist():
        group = table[g][real[g]]
        pair = contest.values[i : i + 2, group]
        off = max(contest.off[i], contest.off[i + 1])
        slack = contest.bounds[0][group] + off * contest.bounds[1][group]
        order = _clear_order(pair, slack, settled=contest.settled)
        order = _order(contest, signs, i, group) if order is None else order
        if order is None:
            left += 1
            order = _rounded_order(pair, contest.noise[group])
        for a, b in pairwise(order):
            low, high = abs(pair[0, a] - pair[0, b]), abs(pair[1, a] - pair[1, b])
            share = low / (low + high) if low + high > 0 else 0.5
            reach = 2 * float(slack[a] + slack[b])
            noise = 2 * float(contest.noise[group[[a, b]]].sum())
            rows.append((i, share, group[b], group[a], low + high, reach, noise))
        first[g] = group[order[0]] if i == 0 else first[g]
        last[g] = group[order[-1]] if i == len(values) - 2 else last[g]
    made = np.array(rows, np.float64).reshape(-1, 7)
    whole = made.astype(np.int64)
    found = Changes(
        interval=whole[:, 0],
        share=made[:, 1].copy(),
        unit=whole[:, 2],
        other=whole[:, 3],
        gap=made[:, 4].copy(),
        reach=made[:, 5].copy(),
        noise=made[:, 6].copy(),
    )
    return found, first, last, left


def _stays(contest: Contest, values: Floats, winner: Integers) -> Flags:
    """Return where one entry surely is the largest between two kinks [K - 1, G].

    Args:
        contest: The groups.
        values: Their entries at the kinks, -inf beyond a group's end [K, G, m].
        winner: The first of the largest of each [K, G].
    """
    table, _ = (part.numpy() for part in contest.node.groups.ragged.padded())
    error, steep = (2 * bound[table].max(axis=1) for bound in contest.bounds)
    margin = error + contest.off[:, None] * steep
    best = np.take_along_axis(values, winner[..., None], 2)
    behind = values < best - margin[..., None]
    if contest.settled:
        behind |= (values == 0.0) & (best == 0.0)
    np.put_along_axis(behind, winner[..., None], True, 2)
    behind |= np.isneginf(values)
    clear = behind.all(2)
    same = winner[:-1] == winner[1:]
    return same & clear[:-1] & clear[1:]


def _clear_order(pair: Floats, error: Floats, *, settled: bool) -> list[int] | None:
    """Return the winners between two kinks if these are two and rounding is no doubt.

    Args:
        pair: Entries of a group at both kinks [2, m].
        error: Bounds on their errors [m].
        settled: Whether entries are 0 only where they truly are.
    """
    zero = (pair == 0.0) & settled
    one, two = (int(row.argmax()) for row in pair)
    # Where all are 0 at a kink, the winner at the other one wins between them, too.
    one = two if zero[0, one] and zero[0, two] else one
    two = one if zero[1, two] and zero[1, one] else two
    behind = np.zeros(pair.shape[1], bool)
    for w in (one, two):
        lower = pair < pair[:, [w]] - (error + error[w])
        lower |= zero & zero[:, [w]]
        behind |= lower.all(0)
    behind[[one, two]] = True
    ahead = pair[0, one] - pair[0, two], pair[1, two] - pair[1, one]
    if not behind.all() or (one != two and min(ahead) <= error[one] + error[two]):
        return None
    return [one] if one == two else [one, two]


def _order(
    contest: Contest, signs: LineSigns, i: int, group: Integers
) -> list[int] | None:
    """Return the winners between two kinks in order, if there is time.

    Entries at a kink have a positive factor in common, which changes where between the
    kinks they are equal, but not the order.
    """
    low = signs.entries(int(contest.number[i]), contest.source, group)
    high = signs.entries(int(contest.number[i + 1]), contest.source, group)
    if low is None or high is None:
        return None
    pairs = list(zip(low, high, strict=True))
    here = pairs.index(max(pairs))
    top = max((b, a) for a, b in pairs)
    order = [here]
    while pairs[here][1] < top[0]:
        a, b = pairs[here]
        # Only steeper ones can take over, and the steepest of those that do first.
        meets = [
            (Fraction(a - c, (a - c) + (d - b)), c - d, place)
            for place, (c, d) in enumerate(pairs)
            if d > b
        ]
        here = min(meets)[2]
        order.append(here)
    return order


def _rounded_order(pair: Floats, error: Floats) -> list[int]:
    """Return the same in floats, where what is equal to rounding does not take over."""
    low, high = pair
    here = int(low.argmax())
    order = [here]
    while high[here] < high.max() - 2 * error.max():
        steeper = np.flatnonzero(high - low > (high - low)[here])
        if not len(steeper):
            break
        gained = (high - low)[steeper] - (high - low)[here]
        here = int(steeper[((low[here] - low[steeper]) / gained).argmin()])
        order.append(here)
    return order
