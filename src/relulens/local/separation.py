"""Nodes that everything passes through on the way from the input to another node."""

from relulens.graph.network import Network
from relulens.graph.nodes import sources


def separators(network: Network, end: int, *, start: int = 0) -> list[int]:
    """Return the nodes through which every path from ``start`` to ``end`` passes.

    Args:
        network: The network.
        end: Index of the node where paths end.
        start: Index of the node where they begin; the input by default.

    Returns:
        Indices in order, ``start`` first and ``end`` last; nothing but ``end`` if it
        does not depend on ``start``.
    """
    needed = network.ancestors(end)
    reached = {start}
    for index in sorted(needed):
        if index > start and any(i in reached for i in sources(network.nodes[index])):
            reached.add(index)
    if end not in reached:
        return [end]
    horizon: dict[int, int] = {}
    for index in sorted(reached):
        horizon.update({i: index for i in sources(network.nodes[index])})
    found: list[int] = []
    furthest = start
    for index in sorted(reached):
        # Nothing before this node is read after it.
        if furthest <= index:
            found.append(index)
        furthest = max(furthest, horizon.get(index, index))
    return found


def separates(network: Network, start: int, end: int) -> bool:
    """Tell whether a node depends on the input only through another one."""
    return start in separators(network, end)
