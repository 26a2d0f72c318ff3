"""Barrier steps on the few rows that matter."""

import numpy as np

from relulens.certificates.rounding import Array
from relulens.preimage.barrier import Candidate, barrier


def sifted_barrier(G: Array, *, share: float = 2.2, rounds: int = 8) -> Candidate:
    """Take barrier steps on few rows, and add those that their answer violates.

    Multipliers of some rows are multipliers of all. Rows that point against the sum of
    all are the scarce ones, so these come first.

    Args:
        G: Rows [p, q] of Euclidean norm one.
        share: Rows to start with, over q.
        rounds: Times that rows are added before all are taken.

    Returns:
        A candidate about all rows; multipliers of rows left out are zero.
    """
    p, q = G.shape
    count = int(share * q) + 8
    if p < 2 * count or p * q < 20_000:
        return barrier(G)
    total = G.sum(0)
    if float(total @ total) < 9 * p:
        chosen = np.arange(0, p, p // (2 * count))
    else:
        chosen = np.argpartition(G @ total, count)[:count]
    taken, start = 0, None
    for _ in range(rounds):
        found = barrier(G[chosen], start=start)
        taken += found.iterations
        if found.kind == "spanning":
            values = np.zeros(p)
            values[chosen] = found.vector
            return Candidate(kind="spanning", vector=values, iterations=taken)
        value = G @ found.vector
        wrong = np.flatnonzero(value > 0)
        if found.kind == "recession" and wrong.size == 0:
            return Candidate(kind="recession", vector=found.vector, iterations=taken)
        if found.kind == "none":
            start = None
            break
        start = found.vector * (0.5 / value.max())
        if chosen.size + wrong.size > 0.8 * p:
            break
        chosen = np.union1d(chosen, wrong)
    whole = barrier(G, start=start)
    return Candidate(
        kind=whole.kind, vector=whole.vector, iterations=taken + whole.iterations
    )
