"""Nodes that everything passes through on the way from the input to another node."""

from relulens.graph.network import Network
from relulens.graph.nodes import sources


def separators(network: Network, end: int) -> list[int]:
    """Return the nodes through which every path from the input to ``end`` passes.

    Args:
        network: The network.
        end: Index of the node.

    Returns:
        Indices in order, the input first and ``end`` last; nothing but ``end`` if it
        does not depend on the input.
    """
    reached = {0}
    last: dict[int, int] = {}
    for index in sorted(network.ancestors(end)):
        read = [i for i in sources(network.nodes[index]) if i in reached]
        if read:
            reached.add(index)
            last.update((i, index) for i in read)
    if end not in reached:
        return [end]
    order = sorted(reached & network.ancestors(end))
    found: list[int] = []
    horizon = 0
    for index in order:
        # Nothing before this node is read after it.
        if horizon <= index:
            found.append(index)
        horizon = max(horizon, last.get(index, index))
    return found


def separates(network: Network, start: int, end: int) -> bool:
    """Tell whether a node depends on the input only through another one."""
    return start in separators(network, end)
