"""Fold repeated stretches of a diagram, so that long networks stay readable."""

from collections.abc import Sequence

from relulens.graph.network import Network
from relulens.plot.diagram.rows import Diagram, Link, Row, network_rows

LONGEST_PERIOD = 24
MOST_ROWS = 48


def folded(network: Network, *, most: int = MOST_ROWS) -> Diagram:
    """Return a network's diagram with repeats folded and its middle cut if too long.

    Args:
        network: The network.
        most: Most rows that are drawn.
    """
    rows = network_rows(network)
    stretches = _repeats(rows)
    kept: list[int] = []
    repeats: list[tuple[int, int, int]] = []
    i = 0
    while i < len(rows):
        period, times = stretches.get(i, (1, 1))
        if times > 1:
            repeats.append((len(kept), len(kept) + period - 1, times))
        kept.extend(range(i, i + period))
        i += period * times
    omitted = None
    if len(kept) > most:
        half = most // 2
        omitted = (half, len(kept) - most)
        cut = range(half, len(kept) - (most - half))
        repeats = _moved(repeats, cut)
        kept = kept[:half] + kept[cut.stop :]
    return Diagram(
        rows=tuple(rows[k] for k in kept),
        repeats=tuple(repeats),
        links=_links(rows, kept, stretches),
        omitted=omitted,
    )


def _repeats(rows: Sequence[Row]) -> dict[int, tuple[int, int]]:
    """Return start, period and count of repeats, those that save most rows first."""
    signatures = [row.signature for row in rows]
    readers = [(i + back, i) for i, row in enumerate(rows) for back in row.sources]
    best: dict[int, tuple[int, int]] = {}
    i = 0
    while i < len(rows):
        found = [
            (period, _times(signatures, i, period))
            for period in range(1, min(LONGEST_PERIOD, len(rows) - i) + 1)
        ]
        worth = [
            (p, t)
            for p, t in found
            if p * (t - 1) >= 2 and not _read_inside(readers, i, p, t)
        ]
        if worth:
            best[i] = max(worth, key=lambda pair: (pair[0] * (pair[1] - 1), -pair[0]))
            i += best[i][0] * best[i][1]
        else:
            i += 1
    return best


def _times(signatures: Sequence[object], start: int, period: int) -> int:
    first = signatures[start : start + period]
    times, place = 1, start + period
    while signatures[place : place + period] == first:
        times, place = times + 1, place + period
    return times


def _read_inside(
    readers: Sequence[tuple[int, int]], start: int, period: int, times: int
) -> bool:
    """Tell whether a later row reads a repeat that folding would hide."""
    end = start + period * times
    return any(start <= s < end - period and r >= end for s, r in readers)


def _moved(
    repeats: Sequence[tuple[int, int, int]], cut: range
) -> list[tuple[int, int, int]]:
    """Return the repeats that a cut leaves whole, at their new places."""
    before = [r for r in repeats if r[1] < cut.start]
    after = [r for r in repeats if r[0] >= cut.stop]
    shift = len(cut)
    return [*before, *((a - shift, b - shift, times) for a, b, times in after)]


def _links(
    rows: Sequence[Row], kept: Sequence[int], stretches: dict[int, tuple[int, int]]
) -> tuple[Link, ...]:
    """Return the links between kept rows that are not from one row to the next."""
    place = {old: new for new, old in enumerate(kept)}
    for start, (period, times) in stretches.items():
        # whoever reads the last repeat reads the one that is drawn
        for offset in range(period):
            if start + offset in place:
                last = start + offset + period * (times - 1)
                place.setdefault(last, place[start + offset])
    spans = [
        (place[old + back], new)
        for new, old in enumerate(kept)
        for back in rows[old].sources
        if old + back in place and new - place[old + back] > 1
    ]
    lanes: list[list[tuple[int, int]]] = []
    links = []
    for start, end in sorted(spans, key=lambda span: span[1] - span[0]):
        lane = _free_lane(lanes, start, end)
        links.append(Link(start, end, lane))
    return tuple(sorted(links, key=lambda link: (link.start, link.end)))


def _free_lane(lanes: list[list[tuple[int, int]]], start: int, end: int) -> int:
    for number, taken in enumerate(lanes):
        if all(end <= a or b <= start for a, b in taken):
            taken.append((start, end))
            return number
    lanes.append([(start, end)])
    return len(lanes) - 1
