"""Batches cut into pieces whose arrays stay in the processor's cache.

A walk over a network touches every array a few times; on a processor that is two to
four times faster while they are in the cache, and memory stays bounded.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from relulens.graph.network import Network

_CACHED = 2 << 20
"""Bytes of the largest array of a piece, on one thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A range of points, and of the copies of each one.

    Attributes:
        points: The points.
        copies: The copies of every one of them.
    """

    points: slice
    copies: slice


def rows_at_once(network: Network, live: frozenset[int], like: Tensor) -> int:
    """Return how many rows a walk takes at once, at least one.

    Args:
        network: The network.
        live: Indices of the nodes that are walked over.
        like: An array of the type and on the device of the walk.
    """
    if like.device.type != "cpu":
        return 1 << 40
    size = max((math.prod(network.nodes[i].shape) for i in live), default=1)
    return max(_CACHED * torch.get_num_threads() // max(size * like.itemsize, 1), 1)


def row_ranges(count: int, rows: int) -> Iterator[slice]:
    """Return ranges of at most ``rows`` that cover ``count``, at least one."""
    for start in range(0, max(count, 1), rows):
        yield slice(start, min(start + rows, count))


def pieces(points: int, copies: int, rows: int) -> list[Piece]:
    """Return pieces of a batch of points with copies, about ``rows`` rows each."""
    if copies >= rows:
        return [
            Piece(points=slice(i, i + 1), copies=part)
            for i in range(points)
            for part in row_ranges(copies, rows)
        ]
    together = rows // max(copies, 1)
    whole = slice(0, copies)
    return [Piece(points=part, copies=whole) for part in row_ranges(points, together)]


def by_rows(
    x: Tensor, rows: int, walk: Callable[[Tensor], Mapping[int, Tensor]]
) -> dict[int, Tensor]:
    """Run a walk on ranges of rows and put the results together again."""
    parts = [walk(x[part]) for part in row_ranges(x.shape[0], rows)]
    return {index: joined([part[index] for part in parts]) for index in parts[0]}


def joined(parts: list[Tensor]) -> Tensor:
    """Return arrays one after another."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def taken(rows: Tensor, points: int, piece: Piece) -> Tensor:
    """Return a piece's rows of an array [points * copies, *shape]."""
    copies = rows.shape[0] // max(points, 1)
    table = rows.reshape(points, copies, *rows.shape[1:])
    return table[piece.points, piece.copies].reshape(-1, *rows.shape[1:])


def by_pieces(
    points: int,
    copies: int,
    rows: int,
    walk: Callable[[Piece], Mapping[int, Tensor]],
) -> dict[int, Tensor]:
    """Run a walk on pieces of a batch with copies and put the results together again.

    Args:
        points: Number of points.
        copies: Number of copies of each one.
        rows: About how many rows a piece has.
        walk: Gives arrays with the rows of a piece.

    Returns:
        The arrays [points * copies, *shape] that the walk gave for every piece.
    """
    cut = pieces(points, copies, rows)
    if len(cut) == 1:
        return dict(walk(cut[0]))
    result: dict[int, Tensor] = {}
    for piece in cut:
        for index, value in walk(piece).items():
            shape = value.shape[1:]
            if index not in result:
                result[index] = value.new_empty((points, copies, *shape))
            place = result[index][piece.points, piece.copies]
            place.copy_(value.reshape(place.shape))
    return {index: value.flatten(0, 1) for index, value in result.items()}
