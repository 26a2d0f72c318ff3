"""A direction on a few coordinates that few rows read, where all together are hard."""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, maximum_bipartite_matching

from relulens.certificates.recession import Recession
from relulens.certificates.rounding import Array
from relulens.certificates.subjects import Matrix, Weights
from relulens.certificates.system import Indices, System
from relulens.numerics.linear_programs import Inequalities
from relulens.preimage.kernel import kernel
from relulens.preimage.positive_span import candidates
from relulens.preimage.projected import projected
from relulens.preimage.proofs import prove_recession

_COLUMNS, _ENTRIES = 400, 2_000_000
"""Larger parts are left to the methods that take all coordinates."""

_PARTS = 8


def local_direction(
    system: System, weights: Weights, equal: Matrix, below: Matrix
) -> Recession | None:
    """Return a direction on coordinates that few rows read, if one is proved.

    Such coordinates are common behind convolutions with strides or zeros, and for
    saturated pixels. Parts are tried where no equality reads, or where fewer equalities
    read than there are coordinates (Hall's condition fails).

    Args:
        system: The rows.
        weights: The rows as numbers.
        equal: Those of the equalities.
        below: Those of the inequalities.

    Cost:
        For every part, eight at most, a small decision and a small linear program.
    """
    for columns in _parts(equal, below):
        part = _dense(equal, columns)
        read = np.flatnonzero(np.abs(part).sum(1) > 0)
        held = part[read]
        rows = _dense(below, columns)
        rows = rows[np.abs(rows).sum(1) > 0]
        for found in _directions(held, rows):
            d = np.zeros(weights.ins)
            d[columns] = found
            proof = prove_recession(system, weights, None, d)
            if proof is not None:
                return proof
    return None


def _dense(rows: Matrix, columns: Indices) -> Array:
    part = rows[:, columns]
    return part if isinstance(part, np.ndarray) else part.toarray()


def _directions(held: Array, rows: Array) -> Iterator[Array]:
    """Give d with ``held d = 0`` and ``rows d <= 0``, strict where possible."""
    left = kernel(held)
    if left.basis.shape[1] == 0:
        return
    inside = projected(rows, left.basis)
    if inside.rows.shape[0]:
        deepest = _deepest(inside.rows)
        if deepest is not None:
            yield left.basis @ deepest
    for _, found in candidates(inside.rows):
        if found.kind == "recession":
            yield left.basis @ found.vector


def _deepest(rows: Array) -> Array | None:
    """Return the z within the unit box that makes all rows as negative as possible."""
    p, q = rows.shape
    if p * q > _ENTRIES // 4:
        return None
    box = np.concatenate([np.eye(q), -np.eye(q)])
    table = np.concatenate([rows, box])
    depth = np.concatenate([np.ones(p), np.zeros(2 * q)])
    right = np.concatenate([np.zeros(p), np.ones(2 * q)])
    cost = np.zeros(q + 1)
    cost[-1] = 1.0
    found = Inequalities(np.column_stack([table, depth]), right).maximise(cost)
    if found.status != "optimal" or not found.value > 1e-9:
        return None
    return found.point[:-1]


def _parts(equal: Matrix, below: Matrix) -> Iterator[Indices]:
    """Give sets of coordinates, those that no equality reads first."""
    k, n = equal.shape
    free = np.flatnonzero(np.asarray((equal != 0).sum(0)).reshape(-1) == 0)
    if 0 < free.size < n:
        yield from _components(below, free)
    open_ = np.flatnonzero(~_fixed(below)) if k else free
    if k and 0 < open_.size < n:
        pattern = csr_array(equal[:, open_] != 0).astype(np.int8)
        yield from _starved(pattern, open_)


def _components(below: Matrix, columns: Indices) -> Iterator[Indices]:
    """Give the parts of some coordinates that no inequality connects."""
    pattern = csr_array(below[:, columns] != 0).astype(np.int32)
    number, label = connected_components(pattern.T @ pattern, directed=False)
    sizes = np.bincount(label, minlength=number)
    for part in np.argsort(sizes, kind="stable")[:_PARTS]:
        if sizes[part] <= _COLUMNS:
            yield columns[label == part]


def _fixed(below: Matrix) -> np.ndarray:
    """Return the coordinates that an inequality of one entry keeps on one side."""
    met = below != 0
    single = met[np.flatnonzero(np.asarray(met.sum(1)).reshape(-1) == 1)]
    return np.asarray(single.sum(0)).reshape(-1) > 0


def _starved(pattern: csr_array, columns: Indices) -> Iterator[Indices]:
    """Give coordinates that fewer rows read than they are (alternating paths)."""
    match = maximum_bipartite_matching(pattern, perm_type="row")
    partner = np.full(pattern.shape[0], -1)
    partner[match[match >= 0]] = np.flatnonzero(match >= 0)
    turned = csr_array(pattern.T)
    for start in np.flatnonzero(match < 0)[:_PARTS]:
        reached, waiting = {int(start)}, [int(start)]
        while waiting and len(reached) <= _COLUMNS:
            place = waiting.pop()
            rows = turned.indices[turned.indptr[place] : turned.indptr[place + 1]]
            for other in partner[rows].tolist():
                if other not in reached:
                    reached.add(other)
                    waiting.append(other)
        if not waiting:
            yield columns[np.array(sorted(reached))]
