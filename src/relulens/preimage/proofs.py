"""Turn what the solver found into certificates that their checkers accept."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import lapack, qr, solve_triangular
from torch import Tensor

from relulens.certificates.rank import FullRank, Inverse, RankEvidence, Shift
from relulens.certificates.recession import Recession
from relulens.certificates.rounding import Array
from relulens.certificates.spanning import PositiveSpanning
from relulens.certificates.subjects import Matrix, Weights
from relulens.certificates.support import reads
from relulens.certificates.system import Indices, System, take
from relulens.preimage.kernel import Kernel, norms
from relulens.preimage.projected import Projected
from relulens.preimage.rational import rational_direction

INVERSE_COLUMNS = 1024
"""Up to so many columns an inverse is stored; beyond, a shift of the Gram matrix."""

LOCAL_ENTRIES = 4_000_000
"""Sparse rows on a few coordinates are made dense up to so many entries."""


def _dense(rows: Matrix) -> Array:
    return rows if isinstance(rows, np.ndarray) else rows.toarray()


def pivot_rows(rows: Array) -> Indices:
    """Return as many rows as columns, chosen by partial pivoting, well conditioned."""
    _, swaps, _ = lapack.dgetrf(rows)
    order = np.arange(rows.shape[0])
    for i, j in enumerate(swaps.tolist()):
        order[i], order[j] = order[j], order[i]
    return order[: rows.shape[1]]


def inverse_of(rows: Matrix, positions: Indices, dtype: torch.dtype) -> Inverse | None:
    """Return an approximate inverse of the chosen rows."""
    square = _dense(rows[positions])
    try:
        inverse = np.linalg.inv(square)
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(inverse).all():
        return None
    return Inverse(
        rows=torch.from_numpy(np.asarray(positions, dtype=np.int64)),
        inverse=torch.from_numpy(inverse).to(dtype),
    )


def _narrowed(evidence: RankEvidence) -> RankEvidence:
    if isinstance(evidence, Inverse):
        small = evidence.inverse.to(torch.float32)
        return Inverse(rows=evidence.rows, inverse=small)
    return evidence


def shifts_of(rows: Matrix) -> list[Shift]:
    """Return shifts to try, from an estimate of the smallest eigenvalue."""
    product = rows.T @ rows
    gram = np.asfortranarray(_dense(product))
    factor, info = lapack.dpotrf(gram, lower=1)
    if info != 0:
        return []
    vector = np.random.default_rng(0).standard_normal(gram.shape[0])
    least = np.inf
    for _ in range(12):
        vector /= np.linalg.norm(vector)
        vector, _ = lapack.dpotrs(factor, vector, lower=1)
        least = 1 / float(np.linalg.norm(vector))
    return [Shift(shift=least * share) for share in (0.5, 0.1)]


def prove_full_rank(
    system: System, weights: Weights, positions: Indices | None = None
) -> FullRank | None:
    """Return a proof that the equalities alone leave no direction, if there is one.

    Args:
        system: The equalities and inequalities; the latter are left out.
        weights: The rows as numbers.
        positions: Rows to invert; chosen by pivoting by default.
    """
    none = system.below.at(np.zeros(0, dtype=np.int64))
    bare = System(subject=system.subject, equal=system.equal, below=none)
    rows = take(weights, bare.equal).matrix
    attempts: list[RankEvidence] = []
    if rows.shape[1] <= INVERSE_COLUMNS:
        if positions is None:
            scale = norms(rows)
            unit = _dense(rows) / np.where(scale > 0, scale, 1.0)[:, None]
            positions = pivot_rows(unit)
        exact = inverse_of(rows, positions, torch.float64)
        attempts = [] if exact is None else [_narrowed(exact), exact]
    else:
        attempts = list(shifts_of(rows))
    for evidence in attempts:
        proof = FullRank(system=bare, evidence=evidence)
        if proof.check(weights):
            return proof
    return None


def prove_spanning(
    system: System,
    weights: Weights,
    kernel: Kernel,
    inside: Projected,
    multipliers: Array,
) -> PositiveSpanning | None:
    """Return a proof that no direction is left, if the multipliers give one.

    Args:
        system: The rows.
        weights: The rows as numbers.
        kernel: What the equalities leave.
        inside: The inequalities on the kernel.
        multipliers: One a row of these, nonnegative, that cancel them.
    """
    kept = np.flatnonzero(multipliers)
    size, multipliers = inside.size[kept], multipliers[kept]
    equal = system.equal.at(kernel.independent)
    below = system.below.at(inside.used[kept])
    part = System(subject=system.subject, equal=equal, below=below)
    rows = take(weights, equal.with_rows(below)).matrix
    lower = rows[equal.count :]
    factors = multipliers / size
    factors = factors / factors.max()
    if not (factors > 0).all():
        return None
    on_equal = kernel.solve(-np.asarray(lower.T @ factors))
    values = torch.from_numpy(np.concatenate([on_equal, factors]))
    for evidence in _span_evidence(
        rows, equal.count, kernel, inside.rows[kept], factors * size
    ):
        proof = PositiveSpanning(system=part, multipliers=values, evidence=evidence)
        if proof.check(weights):
            return proof
    return None


def _span_evidence(
    rows: Matrix, equal: int, kernel: Kernel, G: Array, size: Array
) -> Iterator[RankEvidence]:
    """Give evidence to try: first from the rows with the largest multipliers."""
    if rows.shape[1] > INVERSE_COLUMNS:
        yield from shifts_of(rows)
        return
    first = (
        kernel.independent[: kernel.rank] if equal > kernel.rank else np.arange(equal)
    )
    count = 2 * G.shape[1] + 16
    shares = [np.arange(G.shape[0])]
    if G.shape[0] > 2 * count:
        shares.insert(0, np.argpartition(-size, count)[:count])
    for share in shares:
        chosen = share[pivot_rows(G[share] * size[share, None])]
        if chosen.size < G.shape[1]:
            return
        positions = np.concatenate([first, equal + chosen])
        exact = inverse_of(rows, positions, torch.float64)
        if exact is not None:
            yield _narrowed(exact)
            yield exact


def coordinate_direction(
    system: System, weights: Weights, equal: Matrix, below: Matrix
) -> Recession | None:
    """Return a single coordinate that no equality reads and no inequality opposes."""
    if equal.shape[0]:
        free = np.asarray((equal != 0).sum(0)).reshape(-1) == 0
    else:
        free = np.ones(equal.shape[1], dtype=bool)
    highest, lowest = _column_range(below)
    for sign, opposed in ((1.0, highest > 0), (-1.0, lowest < 0)):
        for place in np.flatnonzero(free & ~opposed)[:1]:
            d = np.zeros(equal.shape[1])
            d[place] = sign
            proof = _exact(system, d)
            if proof.check(weights):
                return proof
    return None


def _column_range(rows: Matrix) -> tuple[Array, Array]:
    """Return the largest and the smallest entry of every column, zero included."""
    if rows.shape[0] == 0:
        return np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    if isinstance(rows, np.ndarray):
        return rows.max(0, initial=0.0), rows.min(0, initial=0.0)
    return rows.max(axis=0).toarray().reshape(-1), rows.min(axis=0).toarray().reshape(
        -1
    )


def _exact(system: System, d: Array) -> Recession:
    return Recession(
        system=system,
        direction=torch.from_numpy(d),
        held=torch.zeros(0, dtype=torch.int64),
    )


def prove_recession(
    system: System, weights: Weights, kernel: Kernel | None, direction: Array
) -> Recession | None:
    """Return a proof that a direction is left, at this one or next to it.

    Args:
        system: The rows.
        weights: The rows as numbers.
        kernel: What the equalities leave; nothing if the direction is on few
            coordinates, where the equalities that read them are few.
        direction: The direction; coordinates where it is zero stay so.
    """
    rows = take(weights, system.equal.with_rows(system.below)).matrix
    equal = system.equal.count
    scale = norms(rows)
    d = direction / np.abs(direction).max()
    value = np.asarray(rows @ d)
    if value[equal:].max(initial=-1.0) <= 0 and not value[:equal].any():
        proof = _exact(system, d)
        if proof.check(weights):
            return proof
    columns = np.flatnonzero(d)
    part = _part(system, weights, rows, kernel, columns)
    for tau in (1e-12, 1e-9, 1e-6):
        proof = _nearby(system, weights, part, scale, value, d, tau)
        if proof is not None:
            return proof
    polished = rational_direction(
        part.rows[part.read], part.equal, scale[part.read], d[columns]
    )
    if polished is None:
        return None
    whole = np.zeros(d.size)
    whole[columns] = polished
    exact = _exact(system, whole)
    return exact if exact.check(weights) else None


def prove_through(
    system: System, weights: Weights, still: Indices, part: System, direction: Array
) -> Recession | None:
    """Return a proof about a direction that leaves some units' arguments as they are.

    Args:
        system: The rows that it is about.
        weights: The rows as numbers.
        still: Positions of rows that stay at zero, on which all others rest.
        part: A system that holds these with equality.
        direction: A direction of that.
    """
    rows = take(weights, system.equal.with_rows(system.below)).matrix
    if not isinstance(rows, np.ndarray):
        return None
    scale = norms(rows)
    d = direction / np.abs(direction).max()
    value = np.asarray(rows @ d)
    known = set(part.equal.with_rows(part.below).index.tolist())
    index = system.equal.with_rows(system.below).index.tolist()
    inner = np.array([i for i, row in enumerate(index) if row in known], dtype=np.int64)
    for tau in (1e-12, 1e-9, 1e-6):
        weak = inner[(np.abs(value[inner]) <= tau * scale[inner]) & (scale[inner] > 0)]
        held = np.union1d(still[scale[still] > 0], weak)
        kept, inverse = _right_inverse(rows, held, scale)
        held = held[kept]
        near = d - inverse @ (rows[held] @ d)
        near = near - inverse @ (rows[held] @ near)
        if not np.abs(near).max() > 0:
            continue
        exact = torch.from_numpy(inverse)
        for evidence in (exact.to(torch.float32), exact):
            proof = Recession(
                system=system,
                direction=torch.from_numpy(near / np.abs(near).max()),
                held=torch.from_numpy(held),
                evidence=evidence,
            )
            if proof.check(weights):
                return proof
    return None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Part:
    """The rows of a system on the coordinates of a direction.

    Attributes:
        rows: All rows there.
        columns: The coordinates.
        read: Positions of the rows that read them.
        equal: How many of these are equalities.
        independent: Positions of equalities that must stay at zero.
    """

    rows: Matrix
    columns: Indices
    read: Indices
    equal: int
    independent: Indices


def _part(
    system: System,
    weights: Weights,
    rows: Matrix,
    kernel: Kernel | None,
    columns: Indices,
) -> _Part:
    whole = columns.size == rows.shape[1]
    there = rows if whole else rows[:, columns]
    every = system.equal.with_rows(system.below)
    read = np.flatnonzero(reads(system.subject, weights, every, columns))
    if not isinstance(there, np.ndarray) and read.size * columns.size <= LOCAL_ENTRIES:
        there = there.toarray()
    equal = system.equal.count
    if kernel is not None and kernel.independent.size == kernel.rank:
        independent = np.intersect1d(kernel.independent, read)
    else:
        independent = read[read < equal]
    return _Part(
        rows=there,
        columns=columns,
        read=read,
        equal=int((read < equal).sum()),
        independent=independent,
    )


def _nearby(
    system: System,
    weights: Weights,
    part: _Part,
    scale: Array,
    value: Array,
    d: Array,
    tau: float,
) -> Recession | None:
    weak = (np.abs(value) <= tau * scale) & (scale > 0)
    weak[: system.equal.count] = False
    edge = np.intersect1d(np.flatnonzero(weak), part.read)
    held = np.concatenate([part.independent, edge])
    if held.size == 0:
        return None
    attempts: list[Tensor | Shift]
    if isinstance(part.rows, np.ndarray):
        kept, inverse = _right_inverse(part.rows, held, scale)
        held = held[kept]
        near = d[part.columns]
        for _ in range(2):
            near = near - inverse @ (part.rows[held] @ near)
        d = np.zeros(d.size)
        d[part.columns] = near
        table = np.zeros((d.size, held.size))
        table[part.columns] = inverse
        exact = torch.from_numpy(table)
        attempts = [exact.to(torch.float32), exact]
    else:
        every = take(weights, system.equal.with_rows(system.below)).matrix
        attempts = [*shifts_of(every[held].T)]
    if not np.abs(d).max() > 0:
        return None
    for evidence in attempts:
        proof = Recession(
            system=system,
            direction=torch.from_numpy(d / np.abs(d).max()),
            held=torch.from_numpy(held),
            evidence=evidence,
        )
        if proof.check(weights):
            return proof
    return None


def _right_inverse(rows: Array, held: Indices, scale: Array) -> tuple[Indices, Array]:
    """Return which held rows are independent, and a right inverse of these."""
    unit = rows[held] / scale[held, None]
    basis, triangle, order = qr(
        unit.T, mode="economic", pivoting=True, check_finite=False
    )
    pivots = np.abs(np.diag(triangle))
    rank = int((pivots > 1e-11 * pivots[0]).sum())
    kept = order[:rank]
    turned = solve_triangular(triangle[:rank, :rank], basis[:, :rank].T)
    return kept, turned.T / scale[held[kept]]
