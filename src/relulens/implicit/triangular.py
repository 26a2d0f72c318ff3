"""Find an order of the state in which a model has no loops, if there is one."""

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from relulens.certificates.triangular import BlockOrder, EntryOrder, pattern
from relulens.errors import MemoryLimitError
from relulens.implicit.model import ImplicitModel


def block_order(model: ImplicitModel) -> BlockOrder | None:
    """Return places for the blocks of the state, or nothing if blocks form loops."""
    places = _levels(_block_graph(model))
    if places is None:
        return None
    order = [int(i) for i in places]
    return BlockOrder(A=model.A, owners=model.phi.owners, order=order)


def blocks_in_loops(model: ImplicitModel) -> frozenset[int]:
    """Return the blocks of the state that depend on themselves."""
    reads = _block_graph(model)
    _, label = connected_components(reads, directed=True, connection="strong")
    alone = np.bincount(label)[label] == 1
    own = reads.diagonal() != 0
    return frozenset(np.flatnonzero(~alone | own).tolist())


def _block_graph(model: ImplicitModel) -> csr_array:
    owners, count = model.phi.owners, len(model.phi.blocks)
    reads = np.zeros((count, count), dtype=bool)
    for i, j in model.A.blocks:
        reads[owners[i], j] = True
    return csr_array(reads)


def entry_order(model: ImplicitModel) -> EntryOrder | None:
    """Return levels for the entries of the state, or nothing if entries form loops.

    Nothing is returned, too, where A is too large for a sparse matrix.
    """
    gain = None
    if not model.phi.elementwise:
        gain, _ = model.phi.gains()
        if gain is None:
            return None
    try:
        read = pattern(model.A)
        if gain is not None:
            read = csr_array(pattern(gain) @ read)
    except MemoryLimitError:
        return None
    levels = _levels(read)
    if levels is None:
        return None
    return EntryOrder(A=model.A, gain=gain, levels=torch.from_numpy(levels))


def _levels(read: csr_array) -> np.ndarray | None:
    """Return the longest path below every node of a graph without loops."""
    n = read.shape[0]
    count, _ = connected_components(read, directed=True, connection="strong")
    if count < n or bool((read.diagonal() != 0).any()):
        return None
    levels = np.zeros(n, dtype=np.int64)
    waiting = np.diff(csr_array(read).indptr).astype(np.int64)
    readers = csr_array(csr_array(read).T)
    ready = np.flatnonzero(waiting == 0)
    level = 0
    while ready.size:
        levels[ready] = level
        lines = readers[ready]
        np.subtract.at(waiting, lines.indices, 1)
        touched = np.unique(lines.indices)
        ready = touched[waiting[touched] == 0]
        level += 1
    return levels
