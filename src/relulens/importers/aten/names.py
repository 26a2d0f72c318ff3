"""Names of the nodes of an exported graph: the paths of the modules they came from."""

import operator
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from torch.fx import Node as GraphNode


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """What the nodes of a graph are called.

    Attributes:
        nodes: The name of every node: the module's path where the module is one
            operation, else the path and the operation; repeated ones are numbered.
        cuts: The node that every module's path stands for: what the rest of the model
            reads of the module.
    """

    nodes: Mapping[GraphNode, str]
    cuts: Mapping[str, GraphNode]

    def find(self, name: str) -> GraphNode | None:
        """Return the node of a name, or nothing."""
        if name in self.cuts:
            return self.cuts[name]
        found = [node for node, given in self.nodes.items() if given == name]
        return found[0] if found else None

    def all(self) -> list[str]:
        """Return every name."""
        return [*dict.fromkeys([*self.cuts, *self.nodes.values()])]


def _stack(node: GraphNode) -> list[tuple[str, str]]:
    """Return the calls of modules around a node, (key, path), outermost first."""
    held = node.meta.get("nn_module_stack") or {}
    return [
        (key, entry[0])
        for key, entry in held.items()
        if not key.startswith("_empty_nn_module_stack")
    ]


def operation_name(node: GraphNode) -> str:
    """Return the operation of a node for a reader, such as ``conv2d``."""
    packet = getattr(node.target, "overloadpacket", node.target)
    return getattr(packet, "__name__", str(packet))


def _unique(name: str, taken: set[str], reserved: Collection[str]) -> str:
    unique, count = name, 0
    while unique in taken or (count and unique in reserved):
        count += 1
        unique = f"{name}.{count}"
    taken.add(unique)
    return unique


def name_nodes(nodes: Sequence[GraphNode], modules: Collection[str]) -> Names:
    """Name the nodes that become part of a network.

    Args:
        nodes: Nodes that depend on the input, in order.
        modules: Paths of all modules; no number is added that makes one of them.

    Returns:
        Their names, and the names of the modules' calls.
    """
    calls: dict[str, list[GraphNode]] = {}
    paths: dict[str, str] = {}
    for node in nodes:
        for key, path in _stack(node):
            calls.setdefault(key, []).append(node)
            paths[key] = path
    operations = [node for node in nodes if node.target is not operator.getitem]
    sizes = Counter(key for node in operations for key, _ in _stack(node))
    taken: set[str] = set()
    chosen: dict[str, str] = {}
    for key in sorted(calls, key=_repeat):
        if paths[key]:
            chosen[key] = _unique(paths[key], taken, modules)
    named: dict[GraphNode, str] = {}
    for node in operations:
        stack = _stack(node)
        inner = stack[-1][0] if stack else ""
        path = chosen.get(inner, "")
        word = operation_name(node).strip("_")
        if path and sizes[inner] == 1:
            named[node] = path
        else:
            word = f"{path}.{word}" if path else word
            named[node] = _unique(word, taken, (*modules, word))
    cuts = {chosen[key]: _escaping(calls[key]) for key in chosen}
    return Names(named, cuts)


def _repeat(key: str) -> int:
    """Return which call of a module a key means: torch adds ``@1`` to the second."""
    _, _, number = key.rpartition("@")
    return int(number) if number.isdigit() else 0


def _escaping(inside: Sequence[GraphNode]) -> GraphNode:
    """Return the last node read outside; of one tuple's parts the first."""
    members = set(inside)
    out = [node for node in inside if any(user not in members for user in node.users)]
    if out and all(node.target is operator.getitem for node in out):
        return out[0]
    return out[-1] if out else inside[-1]
